# mypy: ignore-errors
# ruff: noqa: ANN201, C901, E701, E702, F821, PLR0912, PLR0915
"""Arithmetic modulo p = 2^255 - 19 as native code: one function that runs a program of operations.

A call from Python costs a board as much as a third of a product, so that a program does as much
as possible in one call. ed25519_machine holds the programs and says what they may rely on.
Importing this where viper cannot run raises ImportError or SyntaxError, as sha512_viper does.

A number has 20 limbs of 13 bits, signed, lowest first, in one buffer of 32-bit words. Registers 4
and up are numbers, 0 to 3 the room in which a product is made. An operation has four bytes:

    1 d a b  d = a * b               5 d a b  d = a + b
    2 d a n  d = a^(2^n)             6 d a b  d = element a of the digit's entry, b if negative;
    3 d a b  d = a - b                        a = b: element a, negated if negative, next digit
    4 d a .  d = a                   0        the end, or from the start while digits are left

A digit is the number of a 99-byte entry of the table, plus 64 for negative; 255 ends the digits.
An element has 33 bytes, so that the last limb may be read like the others.

Bounds. u stands for a limb of 4099 at most. A product has limbs within u, a sum or difference the
sum of its operands' bounds, an element of a table (limbs 0 to 8191) 2u. Operands of a product may
have au and bu with a * b <= 6: each of its 39 coefficients is then below 20 * 6 * 4099^2, and with
608 times a limb and a carry added still below 2^31. Halves are multiplied by Karatsuba's rule, in
which sums wrap around at 2^32 and come out right, since the coefficients themselves do not.
"""

import micropython


# Viper keeps the first two arguments in registers, so p points at what is read most and x takes
# the sum being built; `x=p[1]*a+x` is six instructions and any other spelling is more. In packed
# lines stand what is unrolled, above all the columns of a product of ten limbs by ten.
# fmt: off
@micropython.viper
def run(p: ptr32, x: int, program: ptr8, table: ptr8, digits: ptr8):
    """Runs program on the numbers at p with the digits' entries of table; x: any."""
    base = int(p); start = program
    while program[0]:
        op = program[0]; n = 1 + (op - 1) * (program[3] - 1); o = ptr32(base + 80 * program[1])
        q = ptr32(base + 80 * program[2]); p = ptr32(base + 80 * program[3])
        if op == 6:
            k = digits[0] >> 6; n = program[2]; w = int(n == program[3]); u = program[3] - n
            u = int(table) + 99 * (digits[0] & 63) + 33 * (n + k * u)
            digits = ptr8(int(digits) + w); w = 1 - 2 * k * w; n = 0; k = 0
            while k < 260:
                byte = ptr8(u + (k >> 3)); x = byte[0] | byte[1] << 8 | byte[2] << 16
                o[0] = (x >> (k & 7) & 8191) * w; o = ptr32(int(o) + 4); k += 13
        elif op > 2:
            n = 0; k = 4; w = op - 4
            while k:
                x=q[0];o[0]=p[0]*w+x;x=q[1];o[1]=p[1]*w+x;x=q[2];o[2]=p[2]*w+x
                x=q[3];o[3]=p[3]*w+x;x=q[4];o[4]=p[4]*w+x
                o=ptr32(int(o)+20); p=ptr32(int(p)+20); q=ptr32(int(q)+20); k-=1
        elif op == 2: p = q
        to = int(o)
        while n:
            k = 5; o = ptr32(base + 240)
            while k:  # the sums of the halves
                x=q[0];o[0]=q[10]+x;x=p[0];o[10]=p[10]+x;x=q[1];o[1]=q[11]+x;x=p[1];o[11]=p[11]+x
                o = ptr32(int(o) + 8); p = ptr32(int(p) + 8); q = ptr32(int(q) + 8); k -= 1
            k = 3; o = ptr32(base + 80)
            while k:  # high halves, low halves, sums
                a=q[0];b=q[1];c=q[2];d=q[3];e=q[4];f=q[5];g=q[6];h=q[7];i=q[8];j=q[9];o[19]=0;k-=1
                if op == 1:
                    x=p[0]*a;o[0]=x;x=p[1]*a;x=p[0]*b+x;o[1]=x;x=p[2]*a;x=p[1]*b+x;x=p[0]*c+x
                    o[2]=x;x=p[3]*a;x=p[2]*b+x;x=p[1]*c+x;x=p[0]*d+x;o[3]=x;x=p[4]*a;x=p[3]*b+x
                    x=p[2]*c+x;x=p[1]*d+x;x=p[0]*e+x;o[4]=x;x=p[5]*a;x=p[4]*b+x;x=p[3]*c+x
                    x=p[2]*d+x;x=p[1]*e+x;x=p[0]*f+x;o[5]=x;x=p[6]*a;x=p[5]*b+x;x=p[4]*c+x
                    x=p[3]*d+x;x=p[2]*e+x;x=p[1]*f+x;x=p[0]*g+x;o[6]=x;x=p[7]*a;x=p[6]*b+x
                    x=p[5]*c+x;x=p[4]*d+x;x=p[3]*e+x;x=p[2]*f+x;x=p[1]*g+x;x=p[0]*h+x;o[7]=x
                    x=p[8]*a;x=p[7]*b+x;x=p[6]*c+x;x=p[5]*d+x;x=p[4]*e+x;x=p[3]*f+x;x=p[2]*g+x
                    x=p[1]*h+x;x=p[0]*i+x;o[8]=x;x=p[9]*a;x=p[8]*b+x;x=p[7]*c+x;x=p[6]*d+x
                    x=p[5]*e+x;x=p[4]*f+x;x=p[3]*g+x;x=p[2]*h+x;x=p[1]*i+x;x=p[0]*j+x;o[9]=x
                    x=p[9]*b;x=p[8]*c+x;x=p[7]*d+x;x=p[6]*e+x;x=p[5]*f+x;x=p[4]*g+x;x=p[3]*h+x
                    x=p[2]*i+x;x=p[1]*j+x;o[10]=x;x=p[9]*c;x=p[8]*d+x;x=p[7]*e+x;x=p[6]*f+x
                    x=p[5]*g+x;x=p[4]*h+x;x=p[3]*i+x;x=p[2]*j+x;o[11]=x;x=p[9]*d;x=p[8]*e+x
                    x=p[7]*f+x;x=p[6]*g+x;x=p[5]*h+x;x=p[4]*i+x;x=p[3]*j+x;o[12]=x;x=p[9]*e
                    x=p[8]*f+x;x=p[7]*g+x;x=p[6]*h+x;x=p[5]*i+x;x=p[4]*j+x;o[13]=x;x=p[9]*f
                    x=p[8]*g+x;x=p[7]*h+x;x=p[6]*i+x;x=p[5]*j+x;o[14]=x;x=p[9]*g;x=p[8]*h+x
                    x=p[7]*i+x;x=p[6]*j+x;o[15]=x;x=p[9]*h;x=p[8]*i+x;x=p[7]*j+x;o[16]=x;x=p[9]*i
                    x=p[8]*j+x;o[17]=x;x=p[9]*j;o[18]=x
                else:
                    o[0]=p[0]*a;x=p[1]*a;o[1]=x+x;x=p[2]*a;x=x+x;o[2]=p[1]*b+x;x=p[3]*a;x=p[2]*b+x
                    o[3]=x+x;x=p[4]*a;x=p[3]*b+x;x=x+x;o[4]=p[2]*c+x;x=p[5]*a;x=p[4]*b+x;x=p[3]*c+x
                    o[5]=x+x;x=p[6]*a;x=p[5]*b+x;x=p[4]*c+x;x=x+x;o[6]=p[3]*d+x;x=p[7]*a;x=p[6]*b+x
                    x=p[5]*c+x;x=p[4]*d+x;o[7]=x+x;x=p[8]*a;x=p[7]*b+x;x=p[6]*c+x;x=p[5]*d+x;x=x+x
                    o[8]=p[4]*e+x;x=p[9]*a;x=p[8]*b+x;x=p[7]*c+x;x=p[6]*d+x;x=p[5]*e+x;o[9]=x+x
                    x=p[9]*b;x=p[8]*c+x;x=p[7]*d+x;x=p[6]*e+x;x=x+x;o[10]=p[5]*f+x;x=p[9]*c
                    x=p[8]*d+x;x=p[7]*e+x;x=p[6]*f+x;o[11]=x+x;x=p[9]*d;x=p[8]*e+x;x=p[7]*f+x;x=x+x
                    o[12]=p[6]*g+x;x=p[9]*e;x=p[8]*f+x;x=p[7]*g+x;o[13]=x+x;x=p[9]*f;x=p[8]*g+x
                    x=x+x;o[14]=p[7]*h+x;x=p[9]*g;x=p[8]*h+x;o[15]=x+x;x=p[9]*h;x=x+x
                    o[16]=p[8]*i+x;x=p[9]*i;o[17]=x+x;o[18]=p[9]*j
                if k == 2: o = ptr32(base); p = ptr32(int(p) - 40); q = ptr32(int(q) - 40)
                else: o = ptr32(base + 160); p = ptr32(base + 280 * k); q = ptr32(base + 240)
            while int(p) < base + 40:  # Karatsuba's middle: the sums' product less the others
                x=p[20];x=p[10]-x;p[10]=p[40]+x-p[0];p[20]=p[50]-x-p[30];p=ptr32(int(p)+4)
            k = 10; p = ptr32(base); o = ptr32(to); w = 4096; u = 0
            while k:  # 2^260 is 608; 4096 goes in before a cut and out after it, for rounding
                x=p[20]+u;u=x>>13;x=(x&8191)*608+p[0]+w;o[0]=(x&8191)-4096;w=(x>>13)+4096
                x=p[21]+u;u=x>>13;x=(x&8191)*608+p[1]+w;o[1]=(x&8191)-4096;w=(x>>13)+4096
                o = ptr32(int(o) + 8); p = ptr32(int(p) + 8); k -= 1
            p = ptr32(to); q = p; x = (w - 4096) * 608 + u * 369664 + p[0] + 4096; n -= 1
            p[0]=(x&8191)-4096;x=(x>>13)+p[1]+4096;p[1]=(x&8191)-4096;p[2]=(x>>13)+p[2]
        program = ptr8(int(program) + 4) if program[4] or digits[0] > 127 else start

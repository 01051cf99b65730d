"""Numbers of the protocol (spec/protocol.md section 11) and of this firmware, each said once."""

# Of this firmware: what hello and a release say of it.
VERSION = "0.1.0"

# Protocol.
UINT32_MAX = 0xFFFFFFFF
SEQ_MAX = (1 << 53) - 1
# Of every integer without a range of its own.
INT_MAX = (1 << 53) - 1
VALUE_MAX = 1 << 53
DAY_MS = 86_400_000
HOUR_MS = 3_600_000
SLOT_MS = 60_000
SLOTS_A_DAY = 1_440
DOWNLINK_BYTES_MAX = 512
DOWNLINK_LONG_BYTES_MAX = 4096
TEXT_BYTES_MAX = 64
FIRMWARE_TEXT_BYTES_MAX = 32
# One COSE_Sign1 over a device id and a public key takes 150.
OWNER_PROOF_BYTES_MAX = 512
SAMPLES_MAX = 256
COLUMNS_MAX = 32
QUANTITIES_MAX = 32
BEACONS_MAX = 64
WITNESS_ROWS_MAX = 48
RANGES_MAX = 32
REFUSALS_MAX = 8
EXTERNAL_BYTES_MAX = 64
FAULT_MAX = 9
EXPONENT_MIN = -9
EXPONENT_MAX = 6
INTERVAL_MS_MIN = 1_000
INTERVAL_MS_MAX = DAY_MS
SNTP_MOVE_MS_MAX = 5_000

# Seqs reserved by one flash write; a power cut wastes at most these.
SEQ_BLOCK = 64
# After the chain state was lost: how far above the highest seq that a receipt names the board
# goes on. A board that signs every ten seconds makes fewer messages than this in 120 days, so
# nothing that it signed and nobody has receipted yet can lie there.
SEQ_SAFE_DISTANCE = 1 << 20
# The same when no receipt could be had: above all that one board can sign in a century.
SEQ_UNKNOWN_START = 1 << 32
CHAIN_LOST_WAIT_MS = 600_000

# One segment fills one littlefs block, so reading it back takes 4 kB of heap and no more.
SEGMENT_BYTES = 4096
# A verification costs an ESP32 about 0.3 s: it is made when at least this much can be freed.
FREE_BYTES_MIN = 16_384
OUTBOX_BYTES_MIN = 65_536
OUTBOX_BYTES_MAX = 16_777_216
# What may be stored beyond the configured size by the kinds that are never dropped.
OUTBOX_RESERVE_BYTES = 16_384
# Signed messages that wait in RAM for one write. RAM is scarce: half a segment and a message, so
# that two writes fill a segment, spare the flash five operations in six (docs/decisions/0019).
STAGED_BYTES_MAX = 2_304
# Thinned samples lie no further apart than this.
THINNED_APART_MS_MAX = 2 * HOUR_MS

# A message without its body; the record of a gap in the outbox.
ENVELOPE_BYTES_MAX = 160
BODY_BYTES_MAX = 4096 - ENVELOPE_BYTES_MAX
GAP_RECORD_BYTES_MAX = 16 + ENVELOPE_BYTES_MAX

FRESH_MESSAGES_MAX = 8
RESEND_WINDOW = 16
# A long message has 4 kB: neither so many of them nor as many fresh ones fit into the heap.
USUAL_BYTES = 384
FRESH_BYTES_MAX = 6_144
BACKOFF_MS_MIN = 1_000
LINK_BACKOFF_MS_MAX = 60_000
TIME_BACKOFF_MS_MAX = 600_000
RESYNC_MS = 6 * 3_600_000
# Between two answers of the gateway a crystal drifts by a second; SNTP makes that a third of it.
SNTP_EVERY_MS = 2 * 3_600_000
SNTP_BACKOFF_MS_MIN = 64_000
SNTP_TIMEOUT_MS = 5_000
HTTP_BYTES_MAX = 4096
HTTP_TIMEOUT_MS = 20_000
# Connecting, name resolution and TLS handshake included; an ESP32 takes 2 to 5 s for the last.
STREAM_TIMEOUT_MS = 30_000

# The connection to the broker. What is in flight is held in RAM besides the outbox.
MQTT_IN_FLIGHT_MAX = 8
MQTT_IN_FLIGHT_BYTES_MAX = 8192
MQTT_TOPIC_BYTES_MAX = 128
# Topic, packet id and payload of the longest PUBLISH that is kept.
MQTT_BODY_BYTES_MAX = 4 + MQTT_TOPIC_BYTES_MAX + DOWNLINK_LONG_BYTES_MAX
MQTT_READ_BYTES = 1024
# Packets that may wait for the writer before the reader stops reading.
MQTT_WAITING_MAX = 32
# Until CONNACK, and from there until SUBACK.
MQTT_HANDSHAKE_MS = 20_000
MQTT_PING_ANSWER_MS = 30_000
# A PUBACK comes after the gateway's commit, which may wait for an epoch that closes.
MQTT_PUBACK_MS = 60_000
MQTT_CHECK_MS = 10_000
# After the broker refused the login or the subscription: it may be the owner who has to act.
REFUSED_BACKOFF_MS_MIN = 10_000
REFUSED_BACKOFF_MS_MAX = 600_000
KEEPALIVE_S_MIN = 10
KEEPALIVE_S_MAX = 65_535
# Login counters reserved by one flash write.
LOGIN_BLOCK = 64
# Sensors of a station, and the integers that describe one (sensors/rack.py).
SENSORS_MAX = 16
SENSOR_FIELDS_MIN = 2
SENSOR_FIELDS_MAX = 8
# Longest time a signed message waits in RAM for its flash write.
STORE_EVERY_MS_MAX = HOUR_MS
# RTC memory of an ESP32 that survives reset and deep sleep has 2,048 bytes.
RETAINED_BYTES = 2_000
BROKER_CA_BYTES_MAX = 8192
BROKER_PASSWORD_BYTES_MAX = 128

# Crystal of an ESP32 module over its temperature range (datasheets: +-10 ppm at 25 C, ageing and
# temperature on top), and its internal 150 kHz RC oscillator, which keeps time in deep sleep.
DRIFT_PPM = 50
HELD_DRIFT_PPM = 50_000

# Coverage. A reveal counts from an hour after its day on. The phase spreads the fleet behind that
# hour; its minimum keeps a clock that is a little fast on the right side.
REVEAL_AFTER_MS = HOUR_MS
REVEAL_PHASE_MS_MIN = 60_000
REVEAL_PHASE_MS_MAX = 1_200_000
REVEAL_UNCERTAINTY_MS_MAX = 600_000
# Tomorrow's commitment is signed within the first hours of today.
COMMIT_PHASE_MS = 6 * HOUR_MS
# Witness rows leave within ten minutes after each full hour, midnight included.
FLUSH_PHASE_MS_MIN = 30_000
FLUSH_PHASE_MS_MAX = 540_000
LAST_STATUS_BEFORE_MS = 600_000
SECRET_DAYS_MAX = 3
# One segment's worth; 12 a day and radio are sent with one slot in 120.
SENT_ROWS_MAX = 512
# 20 full messages.
WITNESS_ROWS_AN_HOUR_MAX = 960
# A beacon that is later than this by the board's own clock is not sent.
BEACON_LATE_MS_MAX = 500
BEACON_EVERY_MAX = SLOTS_A_DAY
COVERAGE_RETRY_MS = 60_000

# Staying alive (docs/decisions/0020-staying-alive.md).
FAULTS_MAX = 16
FAULT_AGAIN_MS = 60_000
# Of the hardware, and how often it is fed. A TLS handshake or a name that does not resolve may
# hold everything up for half a minute.
WATCHDOG_MS = 120_000
VIGIL_MS = 10_000
# Between two samples may lie two intervals and this; a boot that lost its chain waits longer.
SAMPLE_LATE_MS = 120_000
# Without a connection for this long: connect anew, switch the radio off and on, restart.
RECOVER_1_MS = 600_000
RECOVER_2_MS = 1_800_000
QUIET_RESTART_MS = 2 * HOUR_MS
QUIET_RESTART_MS_MAX = DAY_MS
# A boot that goes on for this long is no crash; after so many crashes in a row comes safe mode.
HEALTHY_MS = 300_000
CRASHES_MAX = 5
SAFE_MS = 1_800_000
SAFE_DOUBLINGS_MAX = 5
# After an error that nothing here can mend: enough to read it, not enough to wear out the flash.
FAILED_PAUSE_MS = 60_000
# From a reset to ticks 0 of the next boot.
BOOT_GAP_MS = 10_000
UNMAPPED_BOOTS_MAX = 8

# A battery station: how long one delivery may keep it awake, and wait for the time in it.
DUTY_AWAKE_MS_MAX = 120_000
DUTY_SYNC_MS_MAX = 30_000
# Without a connection by then there is none: each second awake costs as much as hours of sleep.
DUTY_CONNECT_MS_MAX = 40_000
DUTY_LOOK_MS = 250
# A wake that comes this much early counts as the one that was meant.
DUTY_EARLY_MS_MAX = 60_000
DUTY_SLEEP_MS_MIN = 1_000
# How long a wake that a reset ended may have gone on since its last note: awake, for the time, for
# a beacon, until the watchdog or the pause after a failure, and until the next ticks 0.
DUTY_JUMP_MS_MAX = 480_000

# Releases (docs/decisions/0024-updates.md).
INDEX_BYTES_MAX = 1_024
BUNDLE_BYTES_MAX = 8_192
ARCHITECTURES_MAX = 8
ARCHITECTURE_BYTES_MAX = 16
RELEASE_KEYS_MAX = 8
RELEASE_FILES_MAX = 96
RELEASE_FILE_BYTES_MAX = 262_144
RELEASE_NAME_BYTES_MAX = 48
# A release comes to all at once; a fleet that asks for it all at once takes its gateway down.
UPDATE_SPREAD_MS_MAX = 600_000
UPDATE_BACKOFF_MS_MIN = 10_000
UPDATE_BACKOFF_MS_MAX = HOUR_MS
# Instead of a pause until the next attempt.
UPDATE_REFUSED = -1
UPDATE_INSTALLED = -2
# What is downloaded is written in such pieces: two of them fill a block of flash.
UPDATE_PIECE_BYTES = 2_048
FLASH_BLOCK_BYTES = 4_096
# Beside the files of a program: its list, folders, and what littlefs needs to turn round.
UPDATE_SPARE_BLOCKS = 12
# Boots in which a new program may prove itself, and how long the network has to be there in one.
TRIAL_TRIES = 3
TRIAL_TRIES_MAX = 250
TRIAL_ONLINE_MS = 1_800_000

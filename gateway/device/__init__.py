"""What goes onto a board: its program, compiled and packed."""

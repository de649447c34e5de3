"""The host link: a UART and the frames that reach the registers and memories through it. No vendor cells."""

"""The host side of running programs: devices, their memory, reports and errors. Knows no compiler and no hardware."""

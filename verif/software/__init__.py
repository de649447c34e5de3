"""Tests that need no hardware: golden models, host software, emulator."""

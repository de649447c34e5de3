"""Boards, chips and host links: everything that knows a vendor or a pin."""

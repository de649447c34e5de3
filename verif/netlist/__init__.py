"""What synthesis makes of the accelerator: netlists in simulation, and a structural check of clock-domain crossings."""

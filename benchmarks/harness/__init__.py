"""What runs the work: who takes part, one process for each measurement, what was found."""

"""From options to a plan of cells, to their commands, to what those left: what harness/run_matrix.sh does."""

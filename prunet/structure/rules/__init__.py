"""Rules for the labels of an operation's results, one function for each kind of operation."""

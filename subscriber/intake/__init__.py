"""What comes in: the bus, its sequences, its acknowledgements."""

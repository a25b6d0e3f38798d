"""Who is reached: Apprise plugins made to behave, one provider a file."""

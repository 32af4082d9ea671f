"""Sign-in inside the Hub: the Authenticator asks control, the pages show forms."""

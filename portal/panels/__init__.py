"""Where people interact with more than a click: Panel's pages, each in a frame of the shell."""

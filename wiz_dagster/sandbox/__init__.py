"""What lets a newcomer see all of it on one machine: an Elasticsearch node, a Wiz emulator, the demo.

Nothing but the command line imports it.
"""

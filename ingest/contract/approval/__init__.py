"""What control, the edge actuator and the approver's page say to each other, and how it is verified. No I/O.

`strict` and `messages` hold the words (bytes <-> frozen values), `assertion` and `roster` the checks of who
said them, `trust` the checks of the roster's own TUF metadata, `states` and `policy` the tables.
"""

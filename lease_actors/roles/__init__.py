"""What people build on leases: an elected leader, a tracker, work while held, a job run once."""

from lease_actors.roles.election import Election
from lease_actors.roles.once import only_one
from lease_actors.roles.ticket import Ticket
from lease_actors.roles.tracker import Tracker
from lease_actors.roles.while_held import run_while_held

__all__ = ["Election", "Ticket", "Tracker", "only_one", "run_while_held"]

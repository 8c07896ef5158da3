"""
What must hold of a run, from three records: the ring's events, the faults that were made, and the
connections that clients noted. All times are seconds of the wall clock.
"""

import bisect
import datetime
import re
from collections import namedtuple

Connection = namedtuple("Connection", "service begun connected ended port outcome said")
Fault = namedtuple("Fault", "kind endpoints begun ended")
UNSOUND = ("kill", "stop", "delay")  # kinds during which a server does not answer

# An event is written just after what it tells of became true, and its writer may be kept waiting.
HINDSIGHT = 0.1


def moment(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


class Spans:
    """Stretches of time that do not overlap, in order."""

    def __init__(self, spans=()):
        self.spans = []
        for begun, ended in sorted(span for span in spans if span[0] < span[1]):
            if self.spans and begun <= self.spans[-1][1]:
                self.spans[-1] = (self.spans[-1][0], max(ended, self.spans[-1][1]))
            else:
                self.spans.append((begun, ended))

    def at(self, time):
        """The span around a time, or None."""
        index = bisect.bisect(self.spans, (time, float("inf"))) - 1
        return self.spans[index] if index >= 0 and time < self.spans[index][1] else None

    def last_throughout(self, begun, ended):
        span = self.at(begun)
        return span is not None and span[1] >= ended

    def without(self, other):
        left = []
        for begun, ended in self.spans:
            for cut_begun, cut_ended in other.spans:
                if begun < cut_begun < ended:
                    left.append((begun, cut_begun))
                if cut_begun < ended and cut_ended > begun:
                    begun = max(begun, cut_ended)
            left.append((begun, ended))
        return Spans(left)

    def and_(self, other):
        return self.without(Spans([(float("-inf"), float("inf"))]).without(other))

    def total(self):
        return sum(ended - begun for begun, ended in self.spans)


class Knowledge:
    """Of one endpoint of one service, from the events: when it was known down, when eligible."""

    def __init__(self, events, over):
        unhealthy, healthy, opened, not_closed = [], [], [], []
        self.closed_early = []  # breakers: successes while they were open cut that short
        health_since = open_since = None
        health = None
        for event in events:
            now = moment(event["time"])
            if event["type"] == "health":
                if health is not None:
                    health.append((health_since, now))
                health_since = now
                health = {"healthy": healthy, "unhealthy": unhealthy}.get(event["to"])
            elif event["to"] == "open":
                lasts = int(re.match(r"open for (\d+)ms", event["detail"])[1]) / 1000
                opened.append((now, now + lasts))  # from then on half-open: trials may be made
                open_since = open_since or now
            else:
                if opened and opened[-1][1] > now:
                    self.closed_early.append((opened[-1][0], now, opened[-1][1]))
                    opened[-1] = (opened[-1][0], now)
                not_closed.append((open_since, now))
                open_since = None
        if health is not None:
            health.append((health_since, over))
        if open_since is not None:
            not_closed.append((open_since, over))
        self.down = Spans(unhealthy + opened)
        self.eligible = Spans(healthy).without(Spans(not_closed))


class Judge:
    """`endpoints`: name -> port; `bound`: how long one check and its answer may take."""

    def __init__(self, events, faults, endpoints, services, bound, over):
        self.bound, self.faults = bound, faults
        self.name_of = {port: name for name, port in endpoints.items()}
        self.known, self.down_beside_another = {}, {}
        unsound = {name: Spans([(fault.begun, fault.ended) for fault in faults
                                if fault.kind in UNSOUND and name in fault.endpoints])
                   for name in endpoints}
        for service in services:
            for name in endpoints:
                self.known[service, name] = Knowledge(
                    [event for event in events if event["type"] in ("health", "breaker")
                     and (event["service"], event["endpoint"]) == (service, name)], over)
            for name in endpoints:
                # Another was eligible, and not merely believed to be: a connection that finds it
                # dead goes on to what is left.
                others = [self.known[service, other].eligible.without(unsound[other])
                          for other in endpoints if other != name]
                self.down_beside_another[service, name] = [
                    self.known[service, name].down.and_(other) for other in others]

    def time_to_known_down(self, service, name, begun, ended=None):
        """How long the endpoint was known down, while one other was eligible; 0: it was not."""
        longest = 0
        for spans in self.down_beside_another[service, name]:
            if spans.last_throughout(begun, (ended or begun) + HINDSIGHT):
                longest = max(longest, begun - spans.at(begun)[0])
        return longest

    def closed_early(self):
        """
        Breakers that were closed by connections made while they were open and another endpoint was
        eligible. (Half-open begins no sooner than HINDSIGHT before the events make it.)
        """
        return [(service, name, opened, closed)
                for (service, name), known in self.known.items()
                for opened, closed, due in known.closed_early
                if closed - opened > self.bound and closed < due - HINDSIGHT
                and any(spans.last_throughout(opened + HINDSIGHT, closed)
                        and spans.at(opened + HINDSIGHT)[0] <= opened
                        for spans in self.down_beside_another[service, name])]

    def is_explained(self, connection, settle):
        """
        Some fault was on while the connection lasted, or at most `settle` before. Where roles do
        not matter it must have been a fault of that server.
        """
        name = self.name_of.get(connection.port)
        return any(fault.begun <= connection.ended and connection.begun <= fault.ended + settle
                   and (connection.service != "any" or name is None or name in fault.endpoints)
                   for fault in self.faults)

    def cause(self, connection):
        """The fault that began last before it ended."""
        return max((fault for fault in self.faults if fault.begun <= connection.ended),
                   key=lambda fault: fault.begun, default=None)

"""How long a guest is silent, seen from the switch: a ping every 20 ms for as long as it is wanted."""

import re
import signal
import subprocess
import threading
import time
from dataclasses import dataclass
from types import TracebackType
from typing import Self

_REPLY = re.compile(r"\[(\d+\.\d+)\] \d+ bytes from .* icmp_seq=")
_SUMMARY = re.compile(r"(\d+) packets transmitted, (\d+) received")


@dataclass(frozen=True, kw_only=True)
class Silence:
    """What a probe found out from its start to its stop."""

    sent: int
    received: int
    longest_seconds: float  # without any reply; before the first reply and after the last count as well
    duplicates: int

    @property
    def lost(self) -> int:
        """Pings without a reply. One more than lost when the last reply was still on its way at the stop."""
        return self.sent - self.received


class Probe:
    """A ping that runs in the background and can be read while it runs. Stop it, or use it in a `with`."""

    received: int = 0
    duplicates: int = 0

    def __init__(self, ping: subprocess.Popen[str]) -> None:
        self._ping = ping
        self._last = time.time()
        self._longest = 0.0
        self._sent = 0
        self._silence: Silence | None = None
        self._reader = threading.Thread(target=self._read, name="lab-probe", daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def current_silence(self) -> float:
        """Seconds since the last reply, or since the start when there was none."""
        return max(0.0, time.time() - self._last)

    @property
    def longest_silence(self) -> float:
        """The longest silence so far, the current one included."""
        return max(self._longest, self.current_silence)

    def stop(self) -> Silence:
        """Ends the ping and tells what it found. Idempotent."""
        if self._silence is None:
            if self._ping.poll() is None:
                self._ping.send_signal(signal.SIGINT)
            longest = self.longest_silence
            self._ping.wait(10)
            self._reader.join(10)
            if self._ping.stdout:
                self._ping.stdout.close()
            self._silence = Silence(
                sent=self._sent,
                received=self.received,
                longest_seconds=round(max(longest, self._longest), 3),
                duplicates=self.duplicates,
            )
        return self._silence

    def _read(self) -> None:
        assert self._ping.stdout is not None
        for line in self._ping.stdout:
            if summary := _SUMMARY.match(line):
                self._sent = int(summary[1])
            elif (reply := _REPLY.match(line)) is None:
                continue
            elif "DUP!" in line:
                self.duplicates += 1
            else:
                self._hear(float(reply[1]))

    def _hear(self, when: float) -> None:
        self._longest = max(self._longest, when - self._last)
        self._last = when
        self.received += 1

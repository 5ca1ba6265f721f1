"""Several workers of one group for a long time, on a broker and a Redis of our own; then everything is checked.

    python -m tests.soak kills --kills 500          workers die by SIGKILL between two writes, and are started again
    python -m tests.soak rebalances --minutes 60    every minute a worker joins or leaves; nothing may grow

Exit status 1: something does not hold. The last lines say what; --json FILE keeps all figures.
"""

import argparse
import json
import signal
import sys
import tempfile
from pathlib import Path

from tests.servers import LocalKafka, LocalRedis
from tests.soak.runs import Plan, kills, rebalances, say


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", choices=["kills", "rebalances"])
    parser.add_argument("--kills", type=int, default=500, help="so many SIGKILLs")
    parser.add_argument("--minutes", type=float, default=60, help="so long")
    parser.add_argument("--rate", type=float, default=250, help="events a second")
    parser.add_argument("--workers", type=int, default=3)
    parser.add_argument("--customers", type=int, default=1_500)
    parser.add_argument("--life", type=int, default=300, help="longest life at first, checkpoints (kills)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", type=Path, help="where workers' logs go (a new one in the temporary folder)")
    parser.add_argument("--json", type=Path, help="write all figures there")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # servers and workers end with us
    folder = arguments.folder or Path(tempfile.mkdtemp(prefix="livesegments-soak-"))
    folder.mkdir(parents=True, exist_ok=True)
    say(f"workers' logs are in {folder}")
    with LocalKafka() as kafka, LocalRedis() as redis:
        plan = Plan(
            log_url=f"kafka://{kafka.bootstrap}",
            redis_url=redis.url,
            tag=f"soak-{arguments.seed}",
            folder=folder,
            kills=arguments.kills,
            minutes=arguments.minutes,
            rate=arguments.rate,
            workers=arguments.workers,
            customers=arguments.customers,
            life=arguments.life,
            seed=arguments.seed,
        )
        figures = kills(plan) if arguments.run == "kills" else rebalances(plan)
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1))
    sys.exit(0 if figures["holds"] else 1)


if __name__ == "__main__":
    main()

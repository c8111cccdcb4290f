"""Subscribes to the tags named on the command line and says every change, until its standard input ends."""

import asyncio
import sys

from rig import client, node, plain, say, seconds

INTERVAL_MS = 10


class Changes:
    def __init__(self):
        self.tags = {}

    def datachange_notification(self, source, value, data):
        at = data.monitored_item.Value.SourceTimestamp
        say({"tag": self.tags[source.nodeid], "value": plain(value), "source_s": seconds(at)})


async def main(tags):
    async with await client() as connected:
        changes = Changes()
        nodes = [await node(connected, tag) for tag in tags]
        changes.tags = {target.nodeid: tag for target, tag in zip(nodes, tags)}
        subscription = await connected.create_subscription(INTERVAL_MS, changes)
        await subscription.subscribe_data_change(nodes, queuesize=1000, sampling_interval=INTERVAL_MS)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


asyncio.run(main(sys.argv[1:]))

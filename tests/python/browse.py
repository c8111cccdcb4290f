"""Walks from Objects to the loop's folder and reads every variable below it, twice."""

import asyncio
import datetime

from asyncua import ua

from rig import LOOP, RIG_NAMESPACE, client, plain, say, seconds


async def variables(folder, path=""):
    for child in await folder.get_children():
        name = path + (await child.read_browse_name()).Name
        if await child.read_node_class() == ua.NodeClass.Variable:
            yield name, child
        else:
            async for found in variables(child, name + "."):
                yield found


async def main():
    async with await client() as connected:
        index = await connected.get_namespace_index(RIG_NAMESPACE)
        folder = await connected.nodes.objects.get_child([f"{index}:{name}" for name in LOOP])
        found = []
        async for tag, node in variables(folder):
            value = await node.read_data_value(raise_on_bad_status=False)
            found.append((tag, node, value, datetime.datetime.now(datetime.timezone.utc)))
        await asyncio.sleep(0.3)
        out = []
        for tag, node, value, now in found:
            later = await node.read_data_value(raise_on_bad_status=False)
            out.append(
                {
                    "tag": tag,
                    "declared": (await node.read_data_type_as_variant_type()).name,
                    "type": value.Value.VariantType.name if value.Value is not None else None,
                    "status": value.StatusCode.name,
                    "value": plain(value.Value.Value) if value.Value is not None else None,
                    "source_s": seconds(value.SourceTimestamp),
                    "later_s": seconds(later.SourceTimestamp),
                    "now_s": seconds(now),
                }
            )
        say(out)


asyncio.run(main())

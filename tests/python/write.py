"""Tries writes: write.py '[["MV1.SP_REQ", "Double", "nan"], ...]'. Says the status, and the value before and after."""

import asyncio
import json
import sys

from asyncua import ua

from rig import client, node, plain, say

TYPES = {"Double": float, "Int32": int, "UInt32": int, "Boolean": lambda text: text == "true", "String": str}


async def read(target):
    value = (await target.read_data_value(raise_on_bad_status=False)).Value
    return None if value is None else plain(value.Value)


async def main(writes):
    async with await client() as connected:
        answers = []
        for tag, kind, text in writes:
            target = await node(connected, tag)
            value = ua.DataValue(ua.Variant(TYPES[kind](text), ua.VariantType[kind]))
            before = await read(target)
            try:
                await target.write_attribute(ua.AttributeIds.Value, value)
                status = "Good"
            except ua.UaStatusCodeError as refused:
                status = ua.StatusCode(refused.code).name
            answers.append({"tag": tag, "status": status, "before": before, "after": await read(target)})
        say(answers)


asyncio.run(main(json.loads(sys.argv[1])))

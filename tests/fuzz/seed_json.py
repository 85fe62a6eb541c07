#!/usr/bin/env python3
"""Writes the seeds of the targets that read JSON: tests/fuzz/corpus/{json}/seed-*.

The first byte of each is the target's option, see NAME_fuzz.c.
"""
from seed import write

TEXTS = {
    "object": '{"a":[1,-2.5e3,true,false,null,"x"],"b":{},"c":[],"\\u00e4":"\\ud83d\\ude00\\n\\"\\\\\\/\\b\\f\\r\\t"}',
    "halves": '["\\ud83d","\\ude00x","\\ud83d\\u0041","\\u20ac","\\u0041"]',
    "integers": '[0,-0,1.0,1e3,18446744073709551615,18446744073709551616,-9223372036854775808,1e99,1e999,"12","-12","x",""]',
    "space": ' \t\r\n[ 1 , 2 ] \n',
    "deep": "[" * 60 + "]" * 60,
    "deep-objects": '{"a":' * 60 + "1" + "}" * 60,
    "scalar": "true", "number": "-1.5E+7", "string": '"a text of more than eight bytes"',
    "cut-string": '["abc', "cut-escape": '["\\u12', "cut-backslash": '["\\', "cut-object": '{"a":1,', "cut-key": '{"a"',
    "cut-literal": "tru", "cut-number": "[1.", "behind": "[] x", "control": '["a\x01"]', "escape": '["\\x"]', "escape-digit": '["\\u12g4"]',
    "comma": "[1,,2]", "comma-first": "[,1]", "comma-last": '{"a":1,}', "comma-none": "[1 2]", "colon": '{"a" 1}', "key": "{a:1}",
    "leading-zero": "[01]", "exponent": "[1e]", "fraction": "[1.]", "minus": "[-]", "brackets": "[1}", "empty": "", "not-utf8": b'["\xff\xc3"]',
}


def bytes_of(text):
    return text if isinstance(text, bytes) else text.encode()


def json_seeds():
    for name, text in TEXTS.items():
        yield name, b"\x14" + bytes_of(text)
    yield "depth-0", b"\x00[]"
    yield "depth-2", b"\x02[[[]]]"


if __name__ == "__main__":
    write("json", json_seeds())

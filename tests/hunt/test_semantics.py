"""What Sigma means: one case a line, each with the section of the specification 2.1 that it shows.

R: Rules specification, M: Modifiers appendix, T: Taxonomy appendix. "silent": the specification doesn't say, and
the case fixes this project's reading.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest

from .sigma_rules import fires, rejection


class Case(NamedTuple):
    section: str
    detection: str
    event: dict[str, Any]
    expected: bool


def item(section: str, key: str, value: str, field_value: Any, expected: bool) -> Case:
    """A selection with one entry on field F (or on the given key)."""
    return Case(section, f"selection:\n    {key}: {value}", {"F": field_value}, expected)


ESCAPES = [
    item("R String Wildcard", "F", "'prog?.exe'", "progA.exe", True),
    item("R String Wildcard: ? is one mandatory character", "F", "'prog?.exe'", "prog.exe", False),
    item("R String Wildcard: ? is one mandatory character", "F", "'prog?.exe'", "progAB.exe", False),
    item("R String Wildcard", "F", "'antivirus_V*.exe'", "antivirus_V21.2.1.exe", True),
    item("R String Wildcard: * takes nothing too", "F", "'a*b'", "ab", True),
    item("R String Wildcard: * crosses newlines", "F", "'a*b'", "a\n\r\nb", True),
    item("R String Wildcard: ? takes a newline", "F", "'a?b'", "a\nb", True),
    item("R String Wildcard: ? counts characters, not bytes", "F", "'a?b'", "aëb", True),
    item("R String Wildcard: whole values", "F", "'*b'", "abc", False),
    item("R String Wildcard: whole values", "F", "'a*'", "xab", False),
    item("R String Wildcard: several", "F", "'a*b*c'", "a1b2c", True),
    item("R String Wildcard: order", "F", "'a*b*c'", "a1c2b", False),
    item("R String Wildcard: ends may not overlap", "F", "'ab*ba'", "aba", False),
    item("R String Wildcard: ?? is two", "F", "'a??b'", "axyb", True),
    item("R String Wildcard: ?? is two", "F", "'a??b'", "axb", False),
    item("R String Wildcard: ?* is one or more", "F", "'a?*b'", "ab", False),
    item("R String Wildcard: ?* is one or more", "F", "'a?*b'", "axxb", True),
    item("R String Wildcard: * alone is any text", "F", "'*'", "", True),
    item("R String Wildcard: * alone is no null", "F", "'*'", None, False),
    item("R String Wildcard: ? at both ends", "F", "'?a?'", "xay", True),
    item("R Escape Character: plain backslash", "F", r"'C:\Windows\x'", r"C:\Windows\x", True),
    item("R Escape Character: double is one", "F", r"'C:\\Windows'", r"C:\Windows", True),
    item("R Escape Character: escaped *", "F", r"'a\*b'", "a*b", True),
    item("R Escape Character: escaped *", "F", r"'a\*b'", r"axb", False),
    item("R Escape Character: escaped * takes no backslash", "F", r"'a\*b'", r"a\b", False),
    item("R Escape Character: escaped ?", "F", r"'a\?b'", "a?b", True),
    item("R Escape Character: escaped ?", "F", r"'a\?b'", "axb", False),
    item("R Escape Character: backslash, then wildcard", "F", r"'a\\*b'", r"a\xyzb", True),
    item("R Escape Character: backslash, then wildcard", "F", r"'a\\*b'", "axyzb", False),
    item("R Escape Character: three are backslash and *", "F", r"'a\\\*b'", r"a\*b", True),
    item("R Escape Character: three are backslash and *", "F", r"'a\\\*b'", r"a\xb", False),
    item("R Escape Character: four are two", "F", r"'\\\\server'", r"\\server", True),
    item("R Escape Character: three before a letter are two", "F", r"'\\\server'", r"\\server", True),
    item("R Escape Character: four are not one", "F", r"'\\\\server'", r"\server", False),
    item("R Escape Character: at the end", "F", "'C:\\'", "C:\\", True),
    item("R Escape Character: at the end, before an added *", "F|startswith", "'C:\\Temp\\'", "C:\\Temp\\x", True),
    item("R Escape Character: at the end, before an added *", "F|startswith", "'C:\\Temp\\'", "C:\\Temp*", False),
    item("R Escape Character: at the end, before an added *", "F|contains", "'\\Temp\\'", "C:\\Temp\\x", True),
    item("R Escape Character: two at the end", "F|startswith", r"'C:\\'", "C:\\x", True),
    item("R Escape Character: a percent is itself", "F", "'%name%'", "%name%", True),
]

CASE = [
    item("R General: case-insensitive", "F", "'WhoAmI'", "WHOAMI", True),
    item("R General: beyond ASCII", "F", "'shërbimi ç'", "SHËRBIMI Ç", True),
    item("R General: beyond ASCII, contains", "F|contains", "'ŻÓŁĆ'", "a żółć b", True),
    item("R General: beyond ASCII, Greek final", "F|contains", "'ΟΔΟΣ'", "x οδος y", True),
    item("R General: beyond ASCII, Cyrillic", "F|endswith", "'ВЫХОД'", "на выход", True),
    item("R General: one character stays one", "F", "'stra?e'", "STRAẞE", True),
    item("M cased", "F|cased", "'Who'", "Who", True),
    item("M cased", "F|cased", "'Who'", "who", False),
    item("M cased: with contains", "F|contains|cased", "'Who'", "aWhob", True),
    item("M cased: with contains", "F|contains|cased", "'Who'", "awhob", False),
    item("M cased: before contains", "F|cased|contains", "'Who'", "awhob", False),
    item("M cased: with startswith", "F|startswith|cased", "'Who'", "whoami", False),
    item("M cased: with endswith", "F|endswith|cased", "'AmI'", "WhoAmI", True),
    item("M cased: with wildcards", "F|cased", "'W*I'", "WhoAmI", True),
    item("M cased: with wildcards", "F|cased", "'W*I'", "whoami", False),
    item("M cased: with windash", "F|windash|contains|cased", "' -A'", "x /A", True),
    item("M cased: with windash", "F|windash|contains|cased", "' -A'", "x /a", False),
    item("M cased: does nothing to re", "F|re|cased", "'^Who'", "Who", True),
]

PLACES = [
    item("M contains", "F|contains", "'bc'", "abcd", True),
    item("M contains", "F|contains", "'bd'", "abcd", False),
    item("M contains: with its own wildcards", "F|contains", "'b*d'", "abcde", True),
    item("M startswith", "F|startswith", "'ab'", "abcd", True),
    item("M startswith", "F|startswith", "'bc'", "abcd", False),
    item("M startswith: is itself", "F|startswith", "'ab'", "ab", True),
    item("M endswith", "F|endswith", "'cd'", "abcd", True),
    item("M endswith", "F|endswith", "'bc'", "abcd", False),
    item("M endswith: one character", "F|endswith", "'d'", "abcd", True),
    item("M startswith: one character", "F|startswith", "'d'", "abcd", False),
    item("M contains: two characters", "F|contains", "'bc'", "ABCD", True),
    item("M contains: empty is in every text", "F|contains", "''", "", True),
    item("silent: a number with contains is its text", "F|contains", "44", "x445y", True),
    item("M contains|all", "F|contains|all", "['a', 'b']", "b a", True),
    item("M contains|all", "F|contains|all", "['a', 'b']", "a c", False),
    item("M all: before contains", "F|all|contains", "['a', 'b']", "a c", False),
    item("R Lists of values are OR", "F|contains", "['a', 'b']", "c b", True),
    item("R Lists of values are OR", "F", "['a', 'b']", "b", True),
    item("silent: all on one value is the value", "F|contains|all", "'a'", "cab", True),
]

SPECIAL = [
    item("R Special Field Values: empty", "F", "''", "", True),
    item("R Special Field Values: empty is no blank", "F", "''", " ", False),
    item("R Special Field Values: empty is no null", "F", "''", None, False),
    item("R Special Field Values: empty is no dash", "F", "''", "-", False),
    Case("R Special Field Values: empty is not absent", "selection:\n    F: ''", {}, False),
    item("R Special Field Values: null", "F", "null", None, True),
    item("R Special Field Values: null is no empty", "F", "null", "", False),
    item("R Special Field Values: null is no dash", "F", "null", "-", False),
    item("R Special Field Values: null is no 'null'", "F", "null", "null", False),
    item("R Special Field Values: 'null' quoted is a text", "F", "'null'", "null", True),
    item("R Special Field Values: 'null' quoted is a text", "F", "'null'", None, False),
    Case("R Special Field Values: absent has no value either", "selection:\n    F: null", {"G": "x"}, True),
    item("R Special Field Values: a dash", "F", "'-'", "-", True),
    item("R Special Field Values: a dash", "F", "'-'", None, False),
    Case(
        "R Special Field Values: not null",
        "selection:\n    G: x\nn:\n    F: null\ncondition: selection and not n",
        {"G": "x", "F": "y"},
        True,
    ),
    Case(
        "R Special Field Values: not null",
        "selection:\n    G: x\nn:\n    F: null\ncondition: selection and not n",
        {"G": "x", "F": None},
        False,
    ),
    item("R Field Existence: true", "F|exists", "true", "x", True),
    item("M exists: empty exists", "F|exists", "true", "", True),
    item("M exists: null exists", "F|exists", "true", None, True),
    Case("M exists: absent", "selection:\n    F|exists: true", {"G": 1}, False),
    Case("M exists: false", "selection:\n    F|exists: false", {"G": 1}, True),
    item("M exists: false", "F|exists", "false", None, False),
    Case(
        "R Condition, not: on an absent field",
        "selection:\n    G: x\nf:\n    F|contains: a\ncondition: selection and not f",
        {"G": "x"},
        True,
    ),
    Case(
        "R Condition, not: on a null",
        "selection:\n    G: x\nf:\n    F|contains: a\ncondition: selection and not f",
        {"G": "x", "F": None},
        True,
    ),
    item("silent: true is the word", "F", "true", "True", True),
    item("silent: true is the boolean", "F", "true", True, True),
    item("silent: true is not one", "F", "true", 1, False),
    item("R Yaml File: yes is a word (YAML 1.2)", "F", "yes", "yes", True),
    item("R Yaml File: a date is a word (YAML 1.2)", "F", "2022-07-15", "2022-07-15", True),
    item("R Yaml File: 12:30 is a word (YAML 1.2)", "F", "12:30", "12:30", True),
]

NUMBERS = [
    item("R Maps: integer against integer", "F", "4624", 4624, True),
    item("R General: integer against text", "F", "4624", "4624", True),
    item("R General: text against integer", "F", "'4624'", 4624, True),
    item("R General: not a part", "F", "462", "4624", False),
    item("silent: number against float of its value", "F", "5", 5.0, True),
    item("silent: text is compared as text", "F", "'5'", 5.0, False),
    item("R General: leading zeros in the event", "F", "7", "007", False),
    item("R General: leading zeros in the rule, as written", "F", "007", "007", True),
    item("R General: leading zeros in the rule, as a number", "F", "007", 7, True),
    item("R Maps: hexadecimal text", "F", "'0x17'", "0x17", True),
    item("R Maps: hexadecimal text", "F", "'0X1A'", "0x1a", True),
    item("R Maps: hexadecimal text is no number", "F", "'0x17'", "23", False),
    item("R Yaml File: hexadecimal number, its value", "F", "0x17", "23", True),
    item("R Yaml File: hexadecimal number, as written", "F", "0x17", "0x17", True),
    item("R General: a float", "F", "1.5", 1.5, True),
    item("R General: a float against text", "F", "1.5", "1.5", True),
    item("R General: wildcards against a number", "F", "'46*'", 4624, True),
    item("M gt", "F|gt", "5", 6, True),
    item("M gt", "F|gt", "5", 5, False),
    item("M gt: numbers, not texts", "F|gt", "5", "10", True),
    item("M gte", "F|gte", "5", "5", True),
    item("M lt", "F|lt", "5", "4.9", True),
    item("M lte", "F|lte", "5", 5.0, True),
    item("M lt: negative", "F|lt", "0", "-3", True),
    item("M gt: no number", "F|gt", "5", "many", False),
    item("M gt: no number, thousands", "F|gt", "5", "1,000", False),
    item("M gt: empty", "F|gt", "-1", "", False),
    item("M gt: null", "F|gt", "-1", None, False),
    Case("M gt: absent", "selection:\n    F|gt: -1", {"G": 1}, False),
    item("M gt: leading zeros", "F|gt", "6", "007", True),
    item("silent: gt reads hexadecimal", "F|gt", "30", "0x1F", True),
    item("M lt: a float bound", "F|lt", "0.5", 0.25, True),
    item("M neq: number", "F|neq", "5", 6, True),
    item("M neq: number", "F|neq", "5", "5", False),
    item("M neq: text", "F|neq", "'abc'", "ABC", False),
    item("M neq: list, none of them", "F|neq", "['a', 'b']", "c", True),
    item("M neq: list, one of them", "F|neq", "['a', 'b']", "b", False),
    item("M neq: with contains", "F|contains|neq", "'a'", "bcd", True),
    item("M neq: with contains", "F|contains|neq", "'a'", "bad", False),
    Case("silent: neq is not, so true of an absent field", "selection:\n    F|neq: a", {"G": 1}, True),
]

REGULAR = [
    item("M re", "F|re", r"'a\d+b'", "xa12by", True),
    item("M re: case-sensitive", "F|re", "'abc'", "ABC", False),
    item("M re: unanchored", "F|re", "'b'", "abc", True),
    item("M re: anchors", "F|re", "'^b'", "abc", False),
    item("M re: anchors", "F|re", "'c$'", "abc", True),
    item("M re: $ before a final newline (PCRE)", "F|re", "'c$'", "abc\n", True),
    item("M re|i", "F|re|i", "'abc'", "xABCx", True),
    item("M re|i: beyond ASCII", "F|re|i", "'ë+'", "Ë", True),
    item("M re|m", "F|re|m", "'^b$'", "a\nb\nc", True),
    item("M re: without m", "F|re", "'^b$'", "a\nb\nc", False),
    item("M re|s", "F|re|s", "'a.b'", "a\nb", True),
    item("M re: without s", "F|re", "'a.b'", "a\nb", False),
    item("M re|i|m|s", "F|re|i|m|s", "'^B.C$'", "a\nb\nc", True),
    item("M re: backslash needs no escape", "F|re", r"'C:\\Win'", r"C:\Win", True),
    item("M re: inline flag", "F|re", "'(?i)abc'", "ABC", True),
    item("M re: list is OR", "F|re", "['x', 'b']", "abc", True),
    item("M re|all", "F|re|all", "['x', 'b']", "abc", False),
    item("M re: escaped slash", "F|re", r"'a\/b'", "a/b", True),
    item("M re: brace that is no count", "F|re", "'a{b'", "a{b", True),
    item("M re: bracket in a class", "F|re", "'[[]x'", "[x", True),
    item("M re: only a number", "F|re", "5", "456", True),
]

WINDASH = [
    *[
        item("M windash: to each of the five", "F|contains|windash", "' -param'", f"cmd {dash}param", True)
        for dash in "-/–—―"
    ],
    *[
        item("M windash: from each of the five", "F|contains|windash", f"' {dash}param'", "cmd -param", True)
        for dash in "-/–—―"
    ],
    item("M windash: all permutations", "F|windash", "'-a -b'", "/a —b", True),
    item("M windash: not inside a word", "F|windash", "'-param-name'", "/param/name", False),
    item("M windash: not inside a word", "F|windash", "'-param-name'", "/param-name", True),
    item("M windash: values with slashes", "F|contains|windash", "' /c reg/x'", "cmd -c reg/x", True),
    item("M windash: values with slashes", "F|contains|windash", "' /c reg/x'", "cmd -c reg-x", False),
    item("M windash: other text stays", "F|contains|windash", "' -param'", "cmd +param", False),
    item("M windash: endswith", "F|endswith|windash", "' -a'", "x /a", True),
]

ENCODINGS = [
    item("M base64", "F|base64|contains", "'foobar'", "x Zm9vYmFy y", True),
    item("M base64: whole", "F|base64", "'foob'", "Zm9vYg==", True),
    item("M base64: an escaped wildcard is itself", "F|base64", r"'a\*b'", "YSpi", True),
    *[
        item("M base64offset", "F|base64offset|contains", "'whoami'", text, True)
        for text in ("d2hvYW1p", "eHdob2FtaQ==", "eHh3aG9hbWk=")
    ],
    item("M base64offset: bytes, not characters", "F|base64offset|contains", "'ëë'", "eMOrw6t4", True),
    item("M wide", "F|wide|base64offset|contains", "'cmd'", "YwBtAGQA", True),
    item("M utf16le", "F|utf16le|base64|contains", "'cmd'", "YwBtAGQA", True),
    item("M utf16be", "F|utf16be|base64|contains", "'cmd'", "AGMAbQBk", True),
    item("M utf16: with its mark", "F|utf16|base64|contains", "'cmd'", "//5jAG0AZAA=", True),
    item("M utf16: with its mark", "F|utf16|base64|contains", "'cmd'", "YwBtAGQA", False),
    item("M wide: as text", "F|wide|contains", "'cmd'", "xc\0m\0d\0y", True),
    item("M wide: of what ASCII can't say, in base64", "F|wide|base64|contains", "'ë'", "6wA=", True),
]

NETWORKS = [
    item("M cidr", "F|cidr", "10.0.0.0/8", "10.1.2.3", True),
    item("M cidr", "F|cidr", "10.0.0.0/8", "11.1.2.3", False),
    item("M cidr: any prefix", "F|cidr", "192.168.1.128/25", "192.168.1.127", False),
    item("M cidr: any prefix", "F|cidr", "192.168.1.128/25", "192.168.1.200", True),
    item("M cidr: a host", "F|cidr", "10.0.0.1/32", "10.0.0.1", True),
    item("M cidr: host bits", "F|cidr", "10.1.2.3/8", "10.9.9.9", True),
    item("M cidr: list", "F|cidr", "['10.0.0.0/8', '127.0.0.0/8']", "127.0.0.1", True),
    item("M cidr: IPv6", "F|cidr", "fe80::/10", "fe80::1", True),
    item("M cidr: IPv6, written otherwise", "F|cidr", "2001:db8::/32", "2001:0DB8:0:0::1", True),
    item("M cidr: IPv6", "F|cidr", "2001:db8::/32", "2001:db9::1", False),
    item("M cidr: IPv4-mapped", "F|cidr", "10.0.0.0/8", "::ffff:10.1.2.3", True),
    item("M cidr: zone id", "F|cidr", "fe80::/10", "fe80::1%eth0", True),
    item("M cidr: no address", "F|cidr", "10.0.0.0/8", "10.1.2.3:80", False),
    item("M cidr: no address", "F|cidr", "0.0.0.0/0", "localhost", False),
    item("M cidr: versions apart", "F|cidr", "::/0", "10.0.0.1", False),
]

FIELDS = [
    Case("M fieldref", "selection:\n    F|fieldref: G", {"F": "a", "G": "A"}, True),
    Case("M fieldref", "selection:\n    F|fieldref: G", {"F": "a", "G": "b"}, False),
    Case("M fieldref: absent", "selection:\n    F|fieldref: G", {"F": "a"}, False),
    Case("M fieldref: two nulls are no match", "selection:\n    F|fieldref: G", {"F": None, "G": None}, False),
    Case("M fieldref: numbers by their text", "selection:\n    F|fieldref: G", {"F": 5, "G": "5"}, True),
    Case("M fieldref|startswith", "selection:\n    F|fieldref|startswith: G", {"F": "abc", "G": "AB"}, True),
    Case("M fieldref|endswith", "selection:\n    F|fieldref|endswith: G", {"F": "abc", "G": "bc"}, True),
    Case("M fieldref|endswith", "selection:\n    F|fieldref|endswith: G", {"F": "abc", "G": "ab"}, False),
    Case("M fieldref|contains", "selection:\n    F|fieldref|contains: G", {"F": "abc", "G": "b"}, True),
    Case("M fieldref|contains: which way", "selection:\n    F|fieldref|contains: G", {"F": "b", "G": "abc"}, False),
    Case("M fieldref|neq", "selection:\n    F|fieldref|neq: G", {"F": "a", "G": "b"}, True),
    Case("M fieldref|neq", "selection:\n    F|fieldref|neq: G", {"F": "a", "G": "A"}, False),
    Case("M fieldref|cased", "selection:\n    F|fieldref|cased: G", {"F": "a", "G": "A"}, False),
    Case("R Field Usage: spaces", "selection:\n    NewValue: x", {"New Value": "x"}, True),
    Case("R Field Usage: spaces", "selection:\n    SAMUserAccount: x", {"SAM User Account": "x"}, True),
    Case("R Field Usage: case", "selection:\n    commandline: x", {"CommandLine": "x"}, True),
    Case(
        "R Field Usage: attributes of System",
        "selection:\n    Execution_ProcessID: 788",
        {"Execution.ProcessID": 788},
        True,
    ),
]

LISTS = [
    item("silent: a list matches by any element", "F", "'b'", ["a", "b"], True),
    item("silent: a list matches by any element", "F", "'c'", ["a", "b"], False),
    Case(
        "silent: under not, no element may",
        "selection:\n    G: x\nf:\n    F: a\ncondition: selection and not f",
        {"G": "x", "F": ["a", "b"]},
        False,
    ),
    item("silent: all over several elements", "F|contains|all", "['a', 'b']", ["xa", "xb"], True),
    item("silent: a number in a list", "F", "5", [4, 5], True),
    item("silent: a null in a list", "F", "null", ["a", None], True),
    item("silent: no null in a list", "F", "null", ["a"], False),
    item("silent: nested lists", "F", "'c'", ["a", ["b", "c"]], True),
    item("silent: an escape in a list's text", "F", r"'C:\x'", ["C:\\x"], True),
    item("silent: an empty list exists", "F|exists", "true", [], True),
]

STRUCTURE = [
    Case("R Maps: AND", "selection:\n    F: a\n    G: b", {"F": "a", "G": "b"}, True),
    Case("R Maps: AND", "selection:\n    F: a\n    G: b", {"F": "a", "G": "c"}, False),
    Case("R Lists: of maps is OR", "selection:\n    - F: a\n    - G: b", {"F": "x", "G": "b"}, True),
    Case(
        "R Lists: of maps is OR, each AND",
        "selection:\n    - F: a\n      H: z\n    - G: b",
        {"F": "a", "G": "c"},
        False,
    ),
    Case(
        "R Keywords: anywhere", "selection:\n    - event::clear\n    - event::drop", {"X": "do EVENT::DROP now"}, True
    ),
    Case("R Keywords: anywhere", "selection:\n    - event::clear", {"X": "event", "Y": "::clear"}, False),
    Case(
        "R Keywords: '|all'",
        "selection:\n    '|all':\n        - OabVirtual\n        - ' -External'",
        {"X": "oabvirtual", "Y": "a -external b"},
        True,
    ),
    Case(
        "R Keywords: '|all'",
        "selection:\n    '|all':\n        - OabVirtual\n        - ' -External'",
        {"X": "oabvirtual"},
        False,
    ),
    Case("R Keywords: one text", "selection: mimikatz", {"X": "a MIMIKATZ b"}, True),
    Case("R Keywords: wildcards", "selection:\n    - 'a*z'", {"X": "-a-z-"}, True),
    Case("R Keywords: numbers are texts", "selection:\n    - 1337", {"X": "x1337y"}, True),
    Case("R Keywords: in lists", "selection:\n    - needle", {"X": ["hay", "a needle b"]}, True),
    Case("R Keywords: the facts are part of the event", "selection:\n    - security", {"X": "y"}, True),
    Case("R Keywords: '|re'", "selection:\n    '|re': 'a.c'", {"X": "xabcx"}, True),
    Case("R Keywords: short ones", "selection:\n    - 'zq'", {"X": "azqb"}, True),
    Case("R Condition: or", "a:\n    F: a\nb:\n    F: b\ncondition: a or b", {"F": "b"}, True),
    Case("R Condition: and", "a:\n    F: a\nb:\n    G: b\ncondition: a and b", {"F": "a", "G": "b"}, True),
    Case("R Condition: not", "a:\n    F: a\ncondition: not a", {"F": "b"}, True),
    Case(
        "R Condition: and binds before or",
        "a:\n    F: 1\nb:\n    F: 2\nc:\n    F: 3\ncondition: a or b and c",
        {"F": "1"},
        True,
    ),
    Case(
        "R Condition: brackets",
        "a:\n    F: 1\nb:\n    F: 2\nc:\n    G: 3\ncondition: (a or b) and c",
        {"F": "1"},
        False,
    ),
    Case(
        "R Condition: not binds before and",
        "a:\n    F: 1\nb:\n    G: 2\ncondition: not a and b",
        {"F": "2", "G": "2"},
        True,
    ),
    Case(
        "R Condition: not before 1 of",
        "a:\n    F: 1\nf_x:\n    G: 2\nf_y:\n    G: 3\ncondition: a and not 1 of f_*",
        {"F": "1", "G": "3"},
        False,
    ),
    Case("R Condition: 1 of them", "a:\n    F: 1\nb:\n    F: 2\ncondition: 1 of them", {"F": "2"}, True),
    Case("R Condition: them leaves out _names", "a:\n    F: 1\n_b:\n    F: 2\ncondition: 1 of them", {"F": "2"}, False),
    Case(
        "R Condition: all of them leaves out _names",
        "a:\n    F: 1\n_b:\n    F: 2\ncondition: all of them",
        {"F": "1"},
        True,
    ),
    Case(
        "R Condition: all of pattern",
        "s_a:\n    F: 1\ns_b:\n    G: 2\nt:\n    H: 3\ncondition: all of s_*",
        {"F": "1", "G": "2"},
        True,
    ),
    Case("R Condition: pattern inside", "a_x_b:\n    F: 1\nc:\n    F: 2\ncondition: 1 of a_*_b", {"F": "1"}, True),
    Case("R Condition: pattern without *", "abc:\n    F: 1\nab:\n    F: 2\ncondition: 1 of ab", {"F": "1"}, False),
    Case("R Condition: a list is OR", "a:\n    F: 1\nb:\n    F: 2\ncondition:\n    - a\n    - b", {"F": "2"}, True),
    Case("silent: any of", "a:\n    F: 1\nb:\n    F: 2\ncondition: any of them", {"F": "2"}, True),
    Case("silent: upper case", "a:\n    F: 1\nb:\n    G: 2\ncondition: a AND NOT b", {"F": "1"}, True),
]

TIMES = [
    item("M hour", "F|hour", "18", "2022-07-15T18:30:05Z", True),
    item("M minute", "F|minute", "30", "2022-07-15 18:30:05", True),
    item("M day", "F|day", "15", "2022-07-15", True),
    item("M month", "F|month", "7", "2022-07-15", True),
    item("M year", "F|year", "2022", "2022-07-15", True),
    item("M week", "F|week", "28", "2022-07-15", True),
    item("M hour, gte", "F|hour|gte", "18", "2022-07-15T18:30:05Z", True),
    item("M hour, lt", "F|hour|lt", "6", "2022-07-15T18:30:05Z", False),
    item("M hour: no zone conversion", "F|hour", "18", "2022-07-15T18:30:05+02:00", True),
    item("M hour: no date", "F|hour", "18", "eighteen", False),
    item("M hour: a date without time", "F|hour", "0", "2022-07-15", False),
]

GROUPS = [
    ESCAPES,
    CASE,
    PLACES,
    SPECIAL,
    NUMBERS,
    REGULAR,
    WINDASH,
    ENCODINGS,
    NETWORKS,
    FIELDS,
    LISTS,
    STRUCTURE,
    TIMES,
]
CASES = [case for group in GROUPS for case in group]


@pytest.mark.parametrize("case", CASES, ids=[f"{number}: {case.section}" for number, case in enumerate(CASES)])
def test_rule_means_what_the_specification_says(case: Case) -> None:
    """Each case fires, or doesn't, as its section of the specification has it."""
    assert fires(case.detection, case.event) is case.expected


REJECTED = [
    ("R Condition: unknown name", "selection:\n    F: 1\ncondition: selction", "'selction'"),
    ("R Condition: pattern that fits nothing", "selection:\n    F: 1\ncondition: selection or 1 of x*", "fits none"),
    ("R Condition: obsolete aggregation", "selection:\n    F: 1\ncondition: selection | count() > 5", "aggregation"),
    ("R Condition: unclosed bracket", "selection:\n    F: 1\ncondition: (selection", "never closed"),
    ("R Condition: 2 of", "a:\n    F: 1\nb:\n    F: 2\ncondition: 2 of them", "not in the standard"),
    ("R Condition: nothing after and", "selection:\n    F: 1\ncondition: selection and", "ends where"),
    ("R Special Field Values: null in a list", "selection:\n    F: ['', null]", "null can't stand in a list"),
    ("R Detection: empty", "selection: {}", "empty"),
    ("R Detection: empty list", "selection:\n    F: []", "empty list"),
    ("M unknown", "selection:\n    F|contain: x", "unknown modifier 'contain'"),
    ("M re: look-ahead", "selection:\n    F|re: 'a(?=b)'", "look-ahead"),
    ("M re: back-reference", "selection:\n    F|re: '(a)\\1'", "back-reference"),
    ("M re: possessive", "selection:\n    F|re: 'a++'", "possessive"),
    ("M re: atomic", "selection:\n    F|re: '(?>a)b'", "atomic"),
    ("M re: syntax", "selection:\n    F|re: 'a(b'", "unclosed group"),
    ("M re: too large", "selection:\n    F|re: '((a{900}){900}){900}'", "size limit"),
    ("M re: flags only after re", "selection:\n    F|i: abc", "only after re"),
    ("M re: first", "selection:\n    F|contains|re: abc", "first modifier"),
    ("M cidr: no network", "selection:\n    F|cidr: 10.0.0.300/8", "no IP network"),
    ("M gt: no number", "selection:\n    F|gt: many", "need a number"),
    ("M exists: no boolean", "selection:\n    F|exists: maybe", "true or false"),
    ("M base64: wildcard", "selection:\n    F|base64: 'a*b'", "can't encode a wildcard"),
    ("M expand: no values", "selection:\n    F|expand: '%Servers%'", "%Servers% has no values"),
    ("R Yaml File: a key twice", "selection:\n    F|contains: a\n    F|contains: b", "twice"),
    ("M wide: bytes that are no text", "selection:\n    F|wide: 'ë'", "no text"),
]


@pytest.mark.parametrize(("section", "detection", "reason"), REJECTED, ids=[section for section, _, _ in REJECTED])
def test_rule_that_cannot_be_evaluated_is_named_with_its_place(section: str, detection: str, reason: str) -> None:
    """Nothing is guessed: the reason stands in the plan, with file, line and column."""
    text = rejection(detection)
    assert reason in text
    assert text.startswith("test.yml:")


EXPANDED = [
    ("R Placeholders", "F|expand: '%Servers%'", {"Servers": ["srv*", "dc1"]}, "srv7", True),
    ("R Placeholders", "F|expand: '%Servers%'", {"Servers": ["srv*", "dc1"]}, "ws7", False),
    ("R Placeholders: behind a backslash", r"F|expand: 'CORP\\%Admins%'", {"Admins": ["eda"]}, r"corp\eda", True),
    ("R Placeholders: escaped percents", r"F|expand: 'CORP\%Admins\%'", {}, "corp%admins%", True),
    ("R Placeholders: escaped percent", r"F|expand: '\%plain%name%'", {"name": ["x"]}, "%plainx", True),
    ("R Placeholders: with contains", "F|contains|expand: '%a%'", {"a": ["b"]}, "xbx", True),
    ("R Placeholders: before contains", "F|expand|contains: '%a%'", {"a": ["b"]}, "xbx", True),
    ("R Placeholders: two", "F|expand: '%a%-%b%'", {"a": ["1", "2"], "b": ["3", "4"]}, "2-3", True),
    ("R Placeholders: with re", "F|re|expand: '^%a%$'", {"a": ["x.y"]}, "xzy", False),
    ("R Placeholders: with re", "F|re|expand: '^%a%$'", {"a": ["x.y"]}, "x.y", True),
]


@pytest.mark.parametrize(("section", "line", "values", "text", "expected"), EXPANDED)
def test_placeholder_takes_the_values_given(
    section: str, line: str, values: dict[str, list[str]], text: str, expected: bool
) -> None:
    """`expand` puts in each of a placeholder's values, in which wildcards count."""
    assert fires(f"selection:\n    {line}", {"F": text}, placeholders=values) is expected

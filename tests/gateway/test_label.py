"""The label of a node: what its code says, and that nothing in a name gets out of its place."""

import xml.etree.ElementTree as ElementTree

import segno
from tools.gateway.label import label_svg

SVG = "{http://www.w3.org/2000/svg}"


def test_the_code_is_the_address_and_the_name():
    drawing = label_svg("192.168.1.2:5683", "door-1", "Back door")
    wanted = segno.make("coap://192.168.1.2:5683/n/door-1 Back door", error="m", micro=False)
    assert wanted.svg_inline(scale=4, border=4, light="#fff") in drawing
    texts = [element.text for element in ElementTree.fromstring(drawing).iter(f"{SVG}text")]
    assert texts == ["Back door", "door-1"]


def test_a_name_is_text():
    drawing = label_svg("[fd00::2]", 'a"><script>', "<b>&\"'")
    root = ElementTree.fromstring(drawing)
    assert not list(root.iter(f"{SVG}script"))
    assert [element.text for element in root.iter(f"{SVG}text")] == ["<b>&\"'", 'a"><script>']


def test_a_long_name_is_shortened():
    root = ElementTree.fromstring(label_svg("192.168.1.2", "door-1", "x" * 60))
    texts = [element.text or "" for element in root.iter(f"{SVG}text")]
    assert len(texts[0]) == 40 and texts[0].endswith("…")

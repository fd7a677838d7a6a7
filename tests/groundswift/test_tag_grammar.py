"""Points as tags."""

from answer_cases import case, reads

from groundswift import Located, format_answer, parse


def point(label: str, x: float, y: float) -> Located:
    return Located(label, None, (x, y))


DOG = '<point x="43.0" y="58.5" alt="dog">dog</point>'
DOGS = '<points x1="1.0" y1="2.0" x2="3.0" y2="4.0" alt="dog">dog</points>'
dog, dogs = [point("dog", 43, 58.5)], [point("dog", 1, 2), point("dog", 3, 4)]

CASES = [
    case("one point", DOG, dog, "ok"),
    case("two points", DOGS, dogs, "ok"),
    case("in a sentence", f"The {DOG} sits by {DOGS}.", dog + dogs, "ok"),
    case("attributes in another order", '<point alt="dog" y="58.5" x="43">it</point>', dog, "ok"),
    case("no alt", '<point x="43.0" y="58.5">dog</point>', dog, "ok"),
    case("blanks around the numbers", '<point x = " 43.0 " y= "58.5" alt="dog">dog</point>', dog, "ok"),
    case("escaped label", '<point x="1" y="2" alt="a 12&quot; screen">screen</point>', [point('a 12" screen', 1, 2)], "ok"),
    case("line break in the label", '<point x="1" y="2" alt="big\ndog">dog</point>', [point("big\ndog", 1, 2)], "ok"),
    case("y misses", '<point x="1" alt="dog">dog</point>' + DOG, dog, "ok", "malformed-box"),
    case("the y of one misses", '<points x1="1" y1="2" x2="3" alt="dog">dog</points>', [point("dog", 1, 2)], "ok", "malformed-box"),
    case("no numbers", '<point alt="dog">dog</point>', [], "unreadable", "malformed-box"),
    case("NaN", f'<point x="NaN" y="2" alt="dog">dog</point>{DOG}', dog, "ok", "malformed-box"),
    case("too large to be finite", '<point x="1e999" y="2" alt="dog">dog</point>', [], "unreadable", "number-not-finite"),
    case("far outside the range", '<point x="10825" y="2" alt="dog">dog</point>', [point("dog", 10825, 2)], "ok", "number-out-of-range"),
    case("negative", '<point x="-1" y="2" alt="dog">dog</point>', [point("dog", -1, 2)], "ok", "number-out-of-range"),
    case("ratios", '<point x="0.1" y="0.2" alt="dog">dog</point>', [point("dog", 0.1, 0.2)], "ok", "number-like-ratio"),
    case("start without an end, then more", '<point x="1" y="2" alt="cat">cat' + DOG, [point("cat", 1, 2), *dog], "ok", "unclosed-box"),
    case("start without an end, then words", '<point x="1" y="2" alt="cat"> and a <b>dog</b>', [point("cat", 1, 2)], "ok", "unclosed-box"),
    case("doubled start", "<point " + DOG, dog, "ok", "doubled-mark"),
    case("doubled end", DOG + "</point>", dog, "ok", "stray-mark"),
    case("end on the wrong side", "</point>dog", [], "unreadable", "stray-mark"),
    case("cut in a tag", DOG + '<point x="1.0" y="2', dog, "truncated"),
    case("cut between the points of a tag", '<points x1="1.0" y1="2.0" x2="3.', [point("", 1, 2)], "truncated"),
    case("cut in the name of a tag", DOG + "<poi", dog, "truncated"),
    case("cut in the label", '<point x="43.0" y="58.5" alt="dog">do', dog, "truncated"),
    case("cut in the end tag", '<point x="43.0" y="58.5" alt="dog">dog</poi', dog, "truncated"),
    case("the same point to the token limit", DOG * 50 + DOG[:12], dog * 50, "truncated"),
    case("literal <bbox>", "<ref-object><bbox>", [], "unreadable", "literal-placeholder"),
    case("words alone", "There is a dog.", [], "unreadable", "no-box"),
]


test_tags = reads(molmo=CASES)


def test_what_it_writes_to_the_letter():
    assert format_answer(dog, "molmo") == DOG
    salt = '<point x="1.0" y="2.0" alt="salt & pepper">salt & pepper</point>'
    assert format_answer(dogs + [point("salt & pepper", 1, 2)], "molmo") == f"{DOGS}\n{salt}"
    escaped = "12&quot; &lt;screen&gt;"
    assert format_answer([point('12" <screen>', 1.25, 2)], "molmo") == f'<point x="1.25" y="2.0" alt="{escaped}">{escaped}</point>'


def test_half_an_entity_of_a_cut_label_is_no_part_of_it():
    text = format_answer([Located("<b>", None, (1, 2))], "molmo2")
    assert [parse(text[: text.index("&lt;") + cut], "molmo2").objects[0].label for cut in (0, 2, 4, 5)] == ["", "", "<", "<b"]

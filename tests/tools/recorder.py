"""Stand-ins for the programs of .venv: they write down what they are called with."""

import json
import sys

PROGRAM = """#!{python}
import json, os, sys
words = sys.argv[1:]
seen = dict(name=os.path.basename(sys.argv[0]), words=words, files=dict())
for word in words:
    if os.path.isfile(word):
        mode = os.stat(word).st_mode & 0o777
        folder = os.stat(os.path.dirname(word)).st_mode & 0o777
        seen["files"][os.path.basename(word)] = [mode, folder, open(word, errors="replace").read()]
with open({log!r}, "a") as log:
    log.write(json.dumps(seen) + "\\n")
answers = json.load(open({answers!r}))
for words_of, (code, output) in answers:
    if words_of in words:
        print(output)
        sys.exit(code)
"""


class Recorder:
    """Puts a program of each name into `folder`; calls() is what happened to them."""

    def __init__(self, folder, names=("mpremote", "esptool")):
        self.folder = folder
        self.log = folder / "log.jsonl"
        self.answers = folder / "answers.json"
        self.answer()
        text = PROGRAM.format(python=sys.executable, log=str(self.log), answers=str(self.answers))
        for name in names:
            (folder / name).write_text(text)
            (folder / name).chmod(0o755)

    def answer(self, **by_word):
        """Lets calls that have such a word end with (exit code, output); - is written _."""
        pairs = [[word.replace("_", "-"), answer] for word, answer in by_word.items()]
        self.answers.write_text(json.dumps(pairs))

    def calls(self):
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        return [json.loads(line) for line in lines]

    def commands(self):
        return [[call["name"], *call["words"]] for call in self.calls()]

"""Python by its prompts: how short a kernel is for a program that has nothing but a prompt."""

from traitlets import List

from wrapperkernel import ReplKernel, run


class PythonRepl(ReplKernel):
    implementation = "python_repl"
    implementation_version = "1.0"
    banner = "python3 -i: each statement of a cell, as if it were typed"
    language_info = {"name": "python", "mimetype": "text/x-python", "file_extension": ".py"}
    variables = {"PYTHON_BASIC_REPL": "1"}
    program = List(["python3", "-q", "-i"]).tag(config=True)
    prompts = "__import__('sys').__dict__.update(ps1='{prompt}', ps2='{continuation}')"
    load = """__import__('sys').ps1 = '{failed}'; any(exec(compile(__import__('ast').Interactive([_]), \
'cell', 'single'), globals()) for _ in __import__('ast').parse(open('{file}').read(), 'cell').body) or None; \
__import__('sys').ps1 = '{prompt}'"""
    error = r"(?s:.*)^(?:  .*\n)+(?P<ename>\w[\w.]*)(?:: (?P<evalue>(?s:.*)))?\n\Z"


if __name__ == "__main__":
    run(PythonRepl)

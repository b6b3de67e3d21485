"""The smallest kernel: it says what it is told."""

from wrapperkernel import Kernel, run


class EchoKernel(Kernel):
    implementation = "echo_kernel"
    implementation_version = "1.0"
    banner = "Echo: it says what you say"
    language_info = {"name": "text", "mimetype": "text/plain", "file_extension": ".txt"}

    def do_execute(self, code):
        self.iopub.stream(code)


if __name__ == "__main__":
    run(EchoKernel)

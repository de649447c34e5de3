"""A serial port as the line of a host link."""

import time

from ..errors import GemmaryError, InputError


class SerialPort:
    """The port called ``name``, by pyserial: a gemmary.runtime.link.Transport. InputError if it cannot be opened or there is no
    pyserial; GemmaryError when it goes away."""

    def __init__(self, name: str, baud: int):
        try:
            import serial
        except ModuleNotFoundError:
            raise InputError("a serial port needs the Python package pyserial: pip install 'gemmary[board]'") from None
        self.name, self.baud, self._lost = name, baud, (serial.SerialException, OSError)
        try:
            self._port = serial.Serial(name, baud)
        except (*self._lost, ValueError) as error:
            raise InputError(f"cannot open the serial port {name!r}: {error}") from None

    def write(self, data: bytes) -> None:
        self._try(self._port.write, data)

    def read(self, count: int, timeout_s: float) -> bytes:
        self._port.timeout = timeout_s
        return self._try(self._port.read, count)

    def pause(self, seconds: float) -> None:
        time.sleep(seconds)

    def discard(self) -> None:
        self._try(self._port.reset_input_buffer)

    def close(self) -> None:
        self._port.close()

    def _try(self, act, *arguments):
        try:
            return act(*arguments)
        except self._lost as error:
            raise GemmaryError(f"the serial port {self.name} is lost: {error}") from None

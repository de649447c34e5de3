"""JAX functions in: what jax.export gives, compiled.

exported = jax.export.export(jax.jit(f))(jax.ShapeDtypeStruct((1, 28, 28, 1), jnp.int8))
program = gemmary.jax.compile(exported)        the same as gemmary.compile
"""

from ..errors import InputError

try:
    import jax  # noqa: F401
except ModuleNotFoundError as error:
    raise InputError(f"gemmary.jax needs the Python package {error.name}: pip install 'gemmary[jax]'") from None

from .compile import compile

__all__ = ["compile"]

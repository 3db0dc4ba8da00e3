# This text also runs on the worker, before the functions of a call.

def _pack(value, _depth=0):
    """A value as plain data that loses nothing: floats stay floats, tuples tuples, keys are of any type."""
    import array
    if _depth > 80:
        raise TypeError('a value that is cyclic or nested more than 80 levels deep cannot travel')
    kind = type(value)
    more = lambda items: [_pack(item, _depth + 1) for item in items]
    if value is None or kind in (bool, int, str, bytes):
        return value
    if kind is float:
        return {'~f': str(int(value))} if value.is_integer() and str(value)[0:2] != '-0' else value
    if kind is list:
        return more(value)
    if kind is dict:
        if all(type(key) is str and key[:1] != '~' and not key.isdigit() for key in value):
            return {key: _pack(item, _depth + 1) for key, item in value.items()}
        return {'~d': [[_pack(key, _depth + 1), _pack(item, _depth + 1)] for key, item in value.items()]}
    if kind is tuple:
        return {'~t': more(value)}
    if kind is set:
        return {'~s': more(value)}
    if kind is frozenset:
        return {'~z': more(value)}
    if kind is bytearray:
        return {'~b': bytes(value)}
    if kind is complex:
        return {'~c': more([value.real, value.imag])}
    if kind is range:
        return {'~r': [value.start, value.stop, value.step]}
    if kind is array.array:
        return {'~a': [value.typecode, value.tobytes()]}
    raise TypeError(f'a value of type {kind.__module__}.{kind.__qualname__} cannot travel; give plain data')

def _unpack(value):
    """What `_pack` was given."""
    import array
    if type(value) is list:
        return [_unpack(item) for item in value]
    if type(value) is not dict:
        return value
    if len(value) == 1:
        tag, inside = next(iter(value.items()))
        if tag == '~f':
            return float(inside)
        if tag == '~d':
            return {_unpack(key): _unpack(item) for key, item in inside}
        if tag == '~b':
            return bytearray(inside)
        if tag == '~r':
            return range(*inside)
        if tag == '~a':
            made = array.array(inside[0])
            made.frombytes(inside[1])
            return made
        if tag == '~c':
            return complex(*[_unpack(item) for item in inside])
        if tag in ('~t', '~s', '~z'):
            return {'~t': tuple, '~s': set, '~z': frozenset}[tag](_unpack(item) for item in inside)
    return {key: _unpack(item) for key, item in value.items()}

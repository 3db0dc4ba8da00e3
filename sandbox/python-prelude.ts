/**
 * The first Python of an interpreter, before any of the author's: it takes away what leads to the engine around it or
 * could tell one worker from another, and defines `helpers`, the functions that python.ts calls.
 *
 * - The modules of Pyodide are gone and cannot be imported again; what the standard library keeps of them stays inside.
 * - Time stands: `time.sleep` returns at once, and an event loop of asyncio has a clock of its own, which jumps.
 * - Nothing can be waited for, since nothing outside feeds this interpreter.
 */
export const PYTHON_PRELUDE = `
def _prelude():
    import array, asyncio, gc, importlib.abc, inspect, linecache, os, random, sys, time, types, zipfile, io

    GONE = ('js', 'pyodide', 'pyodide_js', '_pyodide', '_pyodide_core')

    class Refusing(importlib.abc.MetaPathFinder):
        def find_spec(self, name, path=None, target=None):
            if name.partition('.')[0] in GONE:
                raise ModuleNotFoundError(f'{name} is not available in the sandbox', name=name)

    sys.meta_path[:] = [Refusing()] + [
        finder for finder in sys.meta_path if not type(finder).__module__.partition('.')[0] in GONE
    ]
    for name in [name for name in sys.modules if name.partition('.')[0] in GONE]:
        del sys.modules[name]
    sys.path[:] = [path for path in sys.path if path]

    def sleep(seconds, /):
        if not seconds >= 0:
            raise ValueError('sleep length must be non-negative')
    time.sleep = sleep

    class Loop(asyncio.BaseEventLoop):
        """Runs what is ready; when nothing is, its clock jumps to what comes next."""

        def __init__(self):
            super().__init__()
            self._clock = 0.0
            self._selector = self

        def time(self):
            return self._clock

        def select(self, timeout):
            if timeout is None:
                raise RuntimeError('nothing in the sandbox can settle what is awaited')
            self._clock += timeout
            return ()

        def _process_events(self, events):
            pass

        def _write_to_self(self):
            pass

    class Policy(asyncio.events._BaseDefaultEventLoopPolicy):
        _loop_factory = Loop

    asyncio.events._set_running_loop(None)
    asyncio.events._set_event_loop_policy(Policy())
    asyncio.run = asyncio.runners.run # Pyodide put another one in its place

    def load(source, context, packages):
        """Compiles; what is wrong with the text or a package is raised."""
        code = compile(source.decode(), 'task', 'exec')
        linecache.cache['task'] = (len(source), None, source.decode().splitlines(True), 'task')
        where = f'/home/pyodide/packages'
        for wheel in packages or ():
            zipfile.ZipFile(io.BytesIO(wheel)).extractall(where)
        if packages:
            sys.path.append(where)
        module = types.ModuleType('task')
        module.__dict__.update(context or {})
        module.__file__ = 'task'
        sys.modules['task'] = module
        state.update(code=code, module=module)

    state = {}

    def begin():
        random.seed()

    def define():
        """Runs the author's text, once; memory is as after it before every call."""
        begin()
        exec(state['code'], state['module'].__dict__)
        if not callable(state['module'].__dict__.get('main')):
            raise NameError('the source defines no function main(x)')
        state['main'] = state['module'].main
        gc.collect()

    def call(x):
        begin()
        try:
            value = state['main'](x)
            if inspect.iscoroutine(value):
                value = asyncio.run(value)
            return value
        finally:
            sys.stdout.flush()
            sys.stderr.flush()

    def describe(error):
        """Name, message and the author's frames of what was raised, the last call first."""
        try:
            message = str(error)
        except BaseException:
            message = 'an error whose message cannot be shown'
        frames = []
        at = error.__traceback__
        while at is not None:
            code = at.tb_frame.f_code
            if code.co_filename == 'task':
                frames.append(f'    at {code.co_qualname} (task:{at.tb_lineno})')
            at = at.tb_next
        if len(frames) > 40:
            frames[20:-20] = ['    at …']
        line = ''
        if isinstance(error, SyntaxError) and error.filename == 'task':
            message = error.msg
            line = f'{error.lineno or 1}:{error.offset or 1}'
        return type(error).__name__, message[:4096], '\\n'.join(reversed(frames)), line

    NUMBERS = {'b': 'Int8Array', 'h': 'Int16Array', 'i': 'Int32Array', 'l': 'Int32Array', 'q': 'BigInt64Array',
               'B': 'Uint8Array', 'H': 'Uint16Array', 'I': 'Uint32Array', 'L': 'Uint32Array', 'Q': 'BigUint64Array',
               'f': 'Float32Array', 'd': 'Float64Array'}
    ADVICE = {'set': 'give sorted(…), for the order of a set is not part of it', 'frozenset': 'give sorted(…)',
              'generator': 'give list(…)', 'complex': 'give [x.real, x.imag]'}

    def plain(x):
        """What is no plain value itself, as one that is: its kind, and the value."""
        for kind in (bool, int, float, str, list, tuple, dict, bytes):
            if isinstance(x, kind):
                return 'plain', kind.__str__(x) if kind is str else kind(x)
        if isinstance(x, (bytearray, memoryview)):
            return 'plain', bytes(x)
        if isinstance(x, array.array) and x.typecode in NUMBERS:
            return NUMBERS[x.typecode], x.tobytes()
        name = type(x).__name__
        raise TypeError(f'a value of type {name} cannot cross the wall; {ADVICE.get(name, "give plain data")}')

    def numbers(code, data):
        made = array.array(code)
        made.frombytes(data)
        return made

    def key(x):
        raise TypeError(f'a key of type {type(x).__name__} cannot cross the wall; keys are strings')

    return dict(
        load=load, define=define, call=call, describe=describe, plain=plain, numbers=numbers, key=key,
        big=lambda n: format(n, 'x'), unbig=lambda text: int(text, 16), units=lambda text: text.encode('utf-16-le', 'surrogatepass'),
        types=' '.join(str(id(each)) for each in (None, True, False, int, float, str, list, tuple, dict, bytes, MemoryError)),
    )

helpers = _prelude()
del _prelude
`

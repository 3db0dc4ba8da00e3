/**
 * The system calls that the child may make, with the reason for each group. Everything else answers EPERM.
 * Numbers: x64 from arch/x86/entry/syscalls/syscall_64.tbl, arm64 from include/uapi/asm-generic/unistd.h of Linux;
 * -1 where an architecture has no such call.
 */
const GROUPS: { reason: string; calls: Record<string, [x64: number, arm64: number]> }[] = [
  {
    reason: 'bwrap’s last step: start node. There is no other program within these walls to start',
    calls: { execve: [59, 221] }
  },
  {
    reason: 'read what is bound into the walls (node, its libraries), talk over the inherited pipes',
    calls: {
      openat: [257, 56],
      open: [2, -1],
      read: [0, 63],
      readv: [19, 65],
      pread64: [17, 67],
      write: [1, 64],
      writev: [20, 66],
      close: [3, 57],
      lseek: [8, 62],
      fstat: [5, 80],
      newfstatat: [262, 79],
      stat: [4, -1],
      lstat: [6, -1],
      statx: [332, 291],
      access: [21, -1],
      faccessat: [269, 48],
      faccessat2: [439, 439],
      readlink: [89, -1],
      readlinkat: [267, 78],
      getdents64: [217, 61],
      getcwd: [79, 17],
      fcntl: [72, 25]
    }
  },
  {
    reason:
      'memory of its own; executable pages because V8 compiles. How much is the watchdog’s business; mmap below',
    calls: {
      munmap: [11, 215],
      mprotect: [10, 226],
      mremap: [25, 216],
      madvise: [28, 233],
      brk: [12, 214],
      membarrier: [324, 283]
    }
  },
  {
    reason: 'threads of its own (garbage collector, compiler); clone itself is a rule below',
    calls: {
      futex: [202, 98],
      set_robust_list: [273, 99],
      set_tid_address: [218, 96],
      rseq: [334, 293],
      sched_yield: [24, 124],
      sched_getaffinity: [204, 123],
      sched_getparam: [143, 121],
      sched_getscheduler: [145, 120],
      gettid: [186, 178],
      getpid: [39, 172],
      exit: [60, 93],
      exit_group: [231, 94]
    }
  },
  {
    reason: 'signals to itself: V8’s traps and abort(). Its process namespace holds nobody else',
    calls: {
      rt_sigaction: [13, 134],
      rt_sigprocmask: [14, 135],
      rt_sigreturn: [15, 139],
      sigaltstack: [131, 132],
      restart_syscall: [219, 128],
      tgkill: [234, 131]
    }
  },
  {
    reason: 'libuv’s event loop, which node starts before our code runs',
    calls: {
      epoll_create1: [291, 20],
      epoll_ctl: [233, 21],
      epoll_wait: [232, -1],
      epoll_pwait: [281, 22],
      eventfd2: [290, 19],
      pipe2: [293, 59],
      poll: [7, -1],
      ppoll: [271, 73]
    }
  },
  {
    reason: 'clocks and sleep; the author’s code gets no clock from us',
    calls: {
      clock_gettime: [228, 113],
      clock_getres: [229, 114],
      clock_nanosleep: [230, 115],
      nanosleep: [35, 101],
      gettimeofday: [96, 169]
    }
  },
  {
    reason: 'questions about itself that node and glibc ask at start',
    calls: {
      uname: [63, 160],
      getuid: [102, 174],
      geteuid: [107, 175],
      getgid: [104, 176],
      getegid: [108, 177],
      capget: [125, 90],
      prlimit64: [302, 261],
      getrlimit: [97, 163],
      getrusage: [98, 165],
      sysinfo: [99, 179],
      getrandom: [318, 278],
      arch_prctl: [158, -1]
    }
  }
]

/** A call that depends on the low word of an argument: allowed if `anyBit` or one of `values` match it, or no bit of `noBit`. */
export interface CallRule {
  reason: string
  call: [x64: number, arm64: number]
  argument: number
  anyBit?: number
  noBit?: number
  values?: number[]
}

const RULES: CallRule[] = [
  {
    // given back with MADV_DONTNEED it stays in memory, and neither the resident size nor RLIMIT_DATA shows it
    reason: 'private memory and files, never shared ones (MAP_SHARED)',
    call: [9, 222],
    argument: 3,
    noBit: 0x01
  },
  { reason: 'a thread, never a process: CLONE_THREAD', call: [56, 220], argument: 0, anyBit: 0x00010000 },
  {
    reason:
      'is it a terminal (TCGETS)? non-blocking and close-on-exec (FIONBIO, FIOCLEX); no other device call',
    call: [16, 29],
    argument: 1,
    values: [0x5401, 0x5421, 0x5451]
  },
  {
    reason: 'names for threads and memory (PR_SET_NAME, PR_SET_VMA)',
    call: [157, 167],
    argument: 0,
    values: [15, 0x53564d41]
  }
]

/** clone3 takes its flags in memory, where a filter cannot look; ENOSYS makes glibc use clone. */
const CLONE3 = 435

const ARCHITECTURES = {
  x64: { index: 0, audit: 0xc000003e },
  arm64: { index: 1, audit: 0xc00000b7 }
} as const

// struct seccomp_data { int nr; __u32 arch; __u64 instruction_pointer; __u64 args[6] }, little endian
const NR_OFFSET = 0
const ARCH_OFFSET = 4
const argumentOffset = (n: number) => 16 + 8 * n

// linux/bpf_common.h and linux/seccomp.h
const LOAD = 0x20
const JUMP_EQUAL = 0x15
const JUMP_GREATER_EQUAL = 0x35
const JUMP_ANY_BIT = 0x45
const RETURN = 0x06
const KILL_PROCESS = 0x80000000
const ALLOW = 0x7fff0000
const ERRNO = 0x00050000
const EPERM = 1
const ENOSYS = 38
const X32_BIT = 0x40000000

/** True if there is a filter for this architecture. */
export function canFilter(architecture: string): architecture is keyof typeof ARCHITECTURES {
  return architecture in ARCHITECTURES
}

/** The filter of a sandbox’s child. */
export function seccompFilter(architecture: keyof typeof ARCHITECTURES): Uint8Array {
  const { index } = ARCHITECTURES[architecture]
  const numbers = GROUPS.flatMap(({ calls }) => Object.values(calls).map(call => call[index]!))
  return assembleFilter(architecture, numbers, RULES)
}

/**
 * A filter as bytes of classic BPF (`struct sock_filter[]`), as `bwrap --seccomp FD` reads them: these calls, negative
 * ones left out, those that the rules allow, and EPERM for everything else.
 */
export function assembleFilter(
  architecture: keyof typeof ARCHITECTURES,
  numbers: readonly number[],
  rules: readonly CallRule[]
): Uint8Array {
  const { index, audit } = ARCHITECTURES[architecture]
  const program: [code: number, jumpTrue: number, jumpFalse: number, k: number][] = []
  const add = (code: number, k: number, jumpTrue = 0, jumpFalse = 0) =>
    program.push([code, jumpTrue, jumpFalse, k])

  add(LOAD, ARCH_OFFSET)
  add(JUMP_EQUAL, audit, 1, 0)
  add(RETURN, KILL_PROCESS)
  add(LOAD, NR_OFFSET)
  if (architecture === 'x64') {
    // the x32 numbers are a second door to the same calls
    add(JUMP_GREATER_EQUAL, X32_BIT, 0, 1)
    add(RETURN, KILL_PROCESS)
  }
  for (const number of numbers) {
    if (number < 0) continue
    add(JUMP_EQUAL, number, 0, 1)
    add(RETURN, ALLOW)
  }
  add(JUMP_EQUAL, CLONE3, 0, 1)
  add(RETURN, ERRNO | ENOSYS)
  for (const { call, argument, anyBit, noBit, values = [] } of rules) {
    const bits = anyBit ?? noBit
    const tests: [number, number][] =
      bits === undefined ? values.map(value => [JUMP_EQUAL, value]) : [[JUMP_ANY_BIT, bits]]
    const [hit, miss] = noBit === undefined ? [ALLOW, ERRNO | EPERM] : [ERRNO | EPERM, ALLOW]
    // number? → load argument, each test jumps to the hit
    add(JUMP_EQUAL, call[index]!, 0, tests.length + 3)
    add(LOAD, argumentOffset(argument))
    tests.forEach(([code, value], i) => {
      add(code, value, tests.length - i, 0)
    })
    add(RETURN, miss)
    add(RETURN, hit)
  }
  add(RETURN, ERRNO | EPERM)

  const bytes = Buffer.alloc(8 * program.length)
  program.forEach(([code, jumpTrue, jumpFalse, k], i) => {
    bytes.writeUInt16LE(code, 8 * i)
    bytes.writeUInt8(jumpTrue, 8 * i + 2)
    bytes.writeUInt8(jumpFalse, 8 * i + 3)
    bytes.writeUInt32LE(k >>> 0, 8 * i + 4)
  })
  return bytes
}

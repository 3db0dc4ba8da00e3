import { assembleFilter } from '../../../sandbox/index.ts'

/**
 * The system calls of QEMU and qemu-img, x64 numbers from arch/x86/entry/syscalls/syscall_64.tbl of Linux: what they
 * were seen to make from start to end, with those beside them that other versions of glibc take for the same. What is
 * not here answers EPERM: other processes, mounts, namespaces, keys, modules, io_uring, bpf, ptrace.
 */
const CALLS: { reason: string; calls: Record<string, number> }[] = [
  {
    reason: 'bwrap’s last step: start the program; QEMU’s own filter then denies it',
    calls: {
      execve: 59
    }
  },
  {
    reason: 'images and sockets that are bound into the walls',
    calls: {
      read: 0,
      write: 1,
      readv: 19,
      writev: 20,
      pread64: 17,
      pwrite64: 18,
      preadv: 295,
      pwritev: 296,
      openat: 257,
      open: 2,
      close: 3,
      close_range: 436,
      lseek: 8,
      stat: 4,
      fstat: 5,
      lstat: 6,
      newfstatat: 262,
      statx: 332,
      statfs: 137,
      fstatfs: 138,
      access: 21,
      faccessat: 269,
      faccessat2: 439,
      readlink: 89,
      readlinkat: 267,
      getdents64: 217,
      getcwd: 79,
      fcntl: 72,
      flock: 73,
      fsync: 74,
      fdatasync: 75,
      sync_file_range: 277,
      ftruncate: 77,
      fallocate: 285,
      fadvise64: 221,
      copy_file_range: 326,
      unlink: 87,
      unlinkat: 263,
      rename: 82,
      umask: 95,
      chmod: 90,
      dup: 32,
      dup2: 33,
      dup3: 292,
      pipe2: 293
    }
  },
  {
    reason: 'devices: KVM, and what a file system says of a file',
    calls: {
      ioctl: 16
    }
  },
  {
    reason: 'Unix sockets of the machine; there is no other network within these walls',
    calls: {
      socketpair: 53,
      bind: 49,
      listen: 50,
      accept: 43,
      accept4: 288,
      connect: 42,
      getsockname: 51,
      getpeername: 52,
      getsockopt: 55,
      setsockopt: 54,
      sendmsg: 46,
      recvmsg: 47,
      sendto: 44,
      recvfrom: 45,
      shutdown: 48
    }
  },
  {
    reason: 'memory of the guest, code that TCG makes of the guest’s',
    calls: {
      mmap: 9,
      munmap: 11,
      mprotect: 10,
      mremap: 25,
      madvise: 28,
      brk: 12,
      mlock: 149,
      mincore: 27,
      memfd_create: 319,
      membarrier: 324,
      get_mempolicy: 239,
      set_mempolicy: 238,
      mbind: 237
    }
  },
  {
    reason: 'threads: processors of the guest, work on images',
    calls: {
      futex: 202,
      set_robust_list: 273,
      get_robust_list: 274,
      set_tid_address: 218,
      rseq: 334,
      sched_yield: 24,
      sched_getaffinity: 204,
      sched_setaffinity: 203,
      sched_getparam: 143,
      sched_getscheduler: 145,
      sched_setscheduler: 144,
      sched_get_priority_max: 146,
      sched_get_priority_min: 147,
      gettid: 186,
      getpid: 39,
      getppid: 110,
      tgkill: 234,
      exit: 60,
      exit_group: 231
    }
  },
  {
    reason: 'signals, with which threads wake each other',
    calls: {
      rt_sigaction: 13,
      rt_sigprocmask: 14,
      rt_sigreturn: 15,
      rt_sigpending: 127,
      rt_sigtimedwait: 128,
      rt_sigsuspend: 130,
      sigaltstack: 131,
      signalfd4: 289,
      restart_syscall: 219
    }
  },
  {
    reason: 'the loop of events',
    calls: {
      poll: 7,
      ppoll: 271,
      select: 23,
      pselect6: 270,
      epoll_create1: 291,
      epoll_ctl: 233,
      epoll_wait: 232,
      epoll_pwait: 281,
      eventfd2: 290,
      timerfd_create: 283,
      timerfd_settime: 286,
      timerfd_gettime: 287
    }
  },
  {
    reason: 'clocks',
    calls: {
      clock_gettime: 228,
      clock_getres: 229,
      clock_nanosleep: 230,
      nanosleep: 35,
      gettimeofday: 96,
      time: 201,
      times: 100
    }
  },
  {
    reason: 'questions about itself',
    calls: {
      uname: 63,
      getuid: 102,
      geteuid: 107,
      getgid: 104,
      getegid: 108,
      getresuid: 118,
      getresgid: 120,
      capget: 125,
      prlimit64: 302,
      getrlimit: 97,
      getrusage: 98,
      sysinfo: 99,
      getrandom: 318,
      arch_prctl: 158,
      getpriority: 140,
      wait4: 61
    }
  },
  {
    reason: 'a narrower filter on top of this one',
    calls: {
      seccomp: 317
    }
  }
]

const NONE = -1
/** Of the low word of an argument. */
const RULES: Parameters<typeof assembleFilter>[2] = [
  { reason: 'a thread, never a process: CLONE_THREAD', call: [56, NONE], argument: 0, anyBit: 0x00010000 },
  { reason: 'AF_UNIX and no other socket', call: [41, NONE], argument: 0, values: [1] },
  {
    reason: 'of itself: name, timer slack, broken memory, parent’s death, no new rights, filter',
    call: [157, NONE],
    argument: 0,
    values: [1, 15, 16, 22, 29, 33, 38, 39]
  }
]

/** The filter as `bwrap --seccomp FD` reads it. Machines run on x64 only. */
export const machineFilter = (): Uint8Array =>
  assembleFilter(
    'x64',
    CALLS.flatMap(({ calls }) => Object.values(calls)),
    RULES
  )

/** The examples of the guide that the commands come from. */
export const GUIDE = [
  ['AUTH vm1 2048 2', 'OK vm1 registered'],
  ['AUTH vm2 4096 4', 'OK vm2 registered'],
  ['AUTH vm3 1024 1', 'OK vm3 registered'],
  [
    'LIST_VMS',
    'OK 3 machines\nvm1: 2048MB RAM, 2CPU, stopped\nvm2: 4096MB RAM, 4CPU, stopped\nvm3: 1024MB RAM, 1CPU, stopped'
  ],
  ['ADD_DISK disk1 vm1 50', 'OK disk1 added to vm1'],
  ['ADD_DISK disk2 vm2 100', 'OK disk2 added to vm2'],
  ['ADD_DISK disk3 vm3 20', 'OK disk3 added to vm3'],
  [
    'LIST_DISKS',
    'OK 3 disks\nDisk disk1 (VM vm1): 50GB\nDisk disk2 (VM vm2): 100GB\nDisk disk3 (VM vm3): 20GB'
  ],
  ['UPDATE_VM vm1 4096 4', 'OK vm1 updated'],
  ['REMOVE_VM vm3', 'OK vm3 removed; kept for 7 days'],
  ['LIST_AUTH_VMS', 'OK 2 machines\nvm1: 4096MB RAM, 4CPU, stopped\nvm2: 4096MB RAM, 4CPU, stopped']
] as const

export const COMMANDS =
  'AUTH ADD_VM LIST_VMS LIST_AUTH_VMS UPDATE_VM LOGOUT LIST_DISKS ADD_DISK REMOVE_VM REMOVE_DISK CHECK_ALL_VMS'.split(
    ' '
  )

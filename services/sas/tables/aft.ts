/** How a transfer is, by its status. What is not here is a failure without a name. */
export const AFT_STATUS: Readonly<Record<number, string>> = {
  0: 'all of it',
  1: 'a part of it',
  64: 'pending',
  128: 'cancelled',
  129: 'the id was used',
  130: 'the function is not there',
  131: 'the amount is not right',
  132: 'beyond the limit of the machine',
  133: 'no whole credits',
  134: 'no parts of an amount',
  135: 'not now',
  136: 'not registered',
  137: 'another key',
  138: 'no point of sale',
  139: 'no won credits',
  140: 'no denomination',
  141: 'expired',
  142: 'to a ticket device',
  143: 'another pool',
  144: 'no receipt',
  145: 'no receipt',
  146: 'no receipt',
  147: 'another asset number',
  148: 'not locked',
  149: 'the id is not right',
  159: 'unexpected',
  192: 'not while another is pending',
  193: 'not while another is pending',
  255: 'none'
}

export const PAID = 0x00
export const PENDING = 0x40
export const ID_USED = 0x81
/** From here on it is one of many reasons why not. */
export const FIRST_FAILURE = 0x80
export const NO_TRANSFER = 0xff

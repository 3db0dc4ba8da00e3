const SECTOR = 2048

/** Both byte orders, as ISO 9660 has its numbers. */
function both(value: number): Buffer {
  const bytes = Buffer.alloc(8)
  bytes.writeUInt32LE(value, 0)
  bytes.writeUInt32BE(value, 4)
  return bytes
}

function record(name: string, sector: number, bytes: number, isFolder: boolean): Buffer {
  const entry = Buffer.alloc(33 + name.length + (name.length % 2 === 0 ? 1 : 0))
  entry[0] = entry.length
  entry.set(both(sector), 2)
  entry.set(both(bytes), 10)
  entry[25] = isFolder ? 2 : 0
  entry.set([1, 0, 0, 1], 28)
  entry[32] = name.length
  entry.write(name, 33, 'latin1')
  return entry
}

/**
 * A seed of cloud-init's NoCloud: an ISO 9660 image (ECMA-119, level 1 names as Linux shows them in small letters)
 * with the label `cidata` and the files `user-data` and `meta-data`.
 */
export function seedIso(userData: string, metaData: string): Buffer {
  const contents = [Buffer.from(metaData), Buffer.from(userData)]
  const names = ['META-DATA.;1', 'USER-DATA.;1']
  const folderSector = 20
  const starts = [folderSector + 1, folderSector + 1 + Math.max(1, Math.ceil(contents[0]!.length / SECTOR))]
  const total = starts[1]! + Math.max(1, Math.ceil(contents[1]!.length / SECTOR))
  const image = Buffer.alloc(total * SECTOR)
  const root = (name: string) => record(name, folderSector, SECTOR, true)
  const folder = [
    root('\0'),
    root('\x01'),
    ...names.map((name, i) => record(name, starts[i]!, contents[i]!.length, false))
  ]
  Buffer.concat(folder).copy(image, folderSector * SECTOR)
  contents.forEach((content, i) => {
    content.copy(image, starts[i]! * SECTOR)
  })

  const volume = image.subarray(16 * SECTOR, 17 * SECTOR)
  volume.write('\x01CD001\x01', 0, 'latin1')
  volume.write(''.padEnd(32), 8)
  volume.write('cidata'.padEnd(32), 40)
  volume.set(both(total), 80)
  volume.set([1, 0, 0, 1, 1, 0, 0, 1, 0, 8, 8, 0], 120) // one volume of one, 2048 bytes a sector
  volume.set(both(10), 132) // the path table: one folder
  volume.writeUInt32LE(18, 140)
  volume.writeUInt32BE(19, 148)
  root('\0').copy(volume, 156)
  volume.fill(' ', 190, 813)
  volume[881] = 1
  image.write('\xffCD001\x01', 17 * SECTOR, 'latin1')
  image.set([1, 0, folderSector, 0, 0, 0, 1, 0, 0, 0], 18 * SECTOR)
  image.set([1, 0, 0, 0, 0, folderSector, 0, 1, 0, 0], 19 * SECTOR)
  return image
}

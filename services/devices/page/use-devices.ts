import { useCallback, useEffect, useMemo, useState } from 'react'
import type { Api, DeviceRow, PageProps } from './api.ts'

interface Changed {
  type: string
  value?: { items?: DeviceRow[] }
}
/** Devices elsewhere are told of while somebody looks. */
const LOOK_MS = 30_000

const keyOf = ({ agent, id }: DeviceRow): string => `${agent} ${id}`

/** All devices, as they change; undefined: not known yet. */
export function useDevices(api: Api, listen: PageProps['listen'], fail: (error: Error) => void) {
  const [known, setKnown] = useState<ReadonlyMap<string, DeviceRow>>()
  const load = useCallback(
    () => api.devices().then(({ items }) => setKnown(new Map(items.map(row => [keyOf(row), row]))), fail),
    [api, fail]
  )
  useEffect(() => {
    void load()
    const timer = window.setInterval(load, LOOK_MS)
    const end = listen(event => {
      if (event === undefined) void load()
      else if (event.type === 'devices:changed') {
        const { items = [] } = (event as Changed).value ?? {}
        setKnown(before => new Map([...(before ?? []), ...items.map(row => [keyOf(row), row] as const)]))
      }
    })
    return () => {
      window.clearInterval(timer)
      end()
    }
  }, [load, listen])
  return useMemo(
    () => known && [...known.values()].sort((a, b) => (a.id < b.id ? -1 : a.id > b.id ? 1 : 0)),
    [known]
  )
}

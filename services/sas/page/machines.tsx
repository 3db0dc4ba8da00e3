import { Badge } from '@mantine/core'
import { useCallback } from 'react'
import { Row, Rows } from '../../host/page/rows.tsx'
import { useLoaded } from '../../host/page/use-loaded.ts'
import { EVERY_MS, type PartProps } from './part.ts'
import { netOf } from './words.ts'

/** Each machine as it is now. */
export function Machines({ api, words, fail }: PartProps) {
  const { t, number, time } = words
  const { value } = useLoaded(
    useCallback(async () => {
      const [{ items }, readings] = await Promise.all([api.machines(), api.readings()])
      return items.map(each => ({ ...each, readings: readings.get(each.serial ?? '') ?? {} }))
    }, [api]),
    { fail, everyMs: EVERY_MS }
  )
  return (
    <section className="card" aria-label={t('machines')}>
      {value !== undefined && (
        <Rows label={t('machines')} empty={t('noMachines')}>
          {value.map(({ line, address, isUp, serial, heardAt, exceptions, readings }) => (
            <Row
              key={`${line} ${address}`}
              title={
                serial === undefined
                  ? t('place', { line, address })
                  : t('live', {
                      serial,
                      coinIn: number(readings.coinIn),
                      coinOut: number(readings.coinOut),
                      net: number(netOf(readings)),
                      played: number(readings.played)
                    })
              }
              detail={[
                t('place', { line, address }),
                ...(heardAt === undefined ? [] : [t('heard', { at: time(heardAt), n: number(exceptions) })])
              ].join(' · ')}
            >
              <Badge variant="dot" tt="none" color={isUp ? 'teal' : 'red'}>
                {t(isUp ? 'up' : 'down')}
              </Badge>
            </Row>
          ))}
        </Rows>
      )}
    </section>
  )
}

import { METERS } from './tables/meters.ts'

const CODES = Object.entries(METERS).map(
  ([code, name]) => `('${name}', '${Number(code).toString(16).padStart(2, '0').toUpperCase()}')`
)
/** What an agent writes may be anything: what is no number is none. */
const numberIn = (json: string): string =>
  `CASE jsonb_typeof(${json}) WHEN 'number' THEN (${json})::numeric END`

/** The tables that programs for gaming machines know, over the entries in a database: a row for each meter that has grown, and one for each machine. */
export const VIEWS = [
  {
    name: 'gaming_transactions',
    query: `
      SELECT to_timestamp(greatest(at_ms, 0) / 1000.0) AS time_, substr(device, 5) AS mac, code AS property_code,
        ${numberIn('delta')} AS value, '0000' AS game_number, ${numberIn("body->'block'")} AS it_id,
        agent, number, seq, ${numberIn("body->'totals'->meter")} AS total,
        concat_ws(' ', nullif(body->>'why', 'growth'), body->'fell'->>meter) AS flags
      FROM artel_device_entry,
        jsonb_each(CASE jsonb_typeof(body->'grown') WHEN 'object' THEN body->'grown' END) AS grown(meter, delta)
        JOIN (VALUES ${CODES.join(', ')}) AS code(meter, code) USING (meter)
      WHERE kind = 'meters' AND device LIKE 'sas:%'`
  },
  {
    name: 'gamemachines',
    query: `
      SELECT DISTINCT ON (device) body->>'name' AS description, agent AS pc_name,
        substr(device, 5) AS serial_number, substr(device, 5) AS mac, false AS disable
      FROM artel_device_entry WHERE kind = 'device' AND device LIKE 'sas:%'
      ORDER BY device, at_ms DESC, number DESC, seq DESC`
  }
]

/** Texts that break what takes them for more than text; the last one says so. */
export const NAUGHTY: readonly string[] = [
  `<script>document.title='evil';top.evil=1</script>`,
  `"><img src=x onerror="top.evil=1">`,
  `<svg/onload=top.evil=1>`,
  `<iframe srcdoc="<script>top.evil=1</script>"></iframe>`,
  `[click](javascript:top.evil=1) javascript:top.evil=1 data:text/html,<script>top.evil=1</script>`,
  `https://user:password@example.org/ http://example.org@evil.example/`,
  '{{constructor.constructor("top.evil=1")()}} <%= top.evil=1 %>',
  `'; DROP TABLE event; -- " OR 1=1`,
  '../../../../etc/passwd %s %n %00 $HOME $(id) ;id|id&',
  // runs from right to left, and pretends to
  'مرحبا, שלום; \u202egpj.exe\u202c \u2066\u2067\u2069',
  // marks upon marks
  `Z${'\u0300\u0301\u0302\u0303'.repeat(40)}algo`,
  // families, flags, a letter of the Gothic alphabet
  '👩‍👩‍👧‍👦 🏴‍☠️ 🇷🇺🇺🇸 𐌰 Å Å ﷽ ﷺ',
  // half of a letter, no letters at all, letters without width
  'half\ufffd \ufeff\u200b\u200c\u200d\u2060 of it',
  `${'W'.repeat(3_000)}`,
  'undefined null NaN true [object Object] -0 1e999',
  'line one\n\n\n\nline two',
  'the last of them'
]

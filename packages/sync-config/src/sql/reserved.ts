/** PostgreSQL's reserved words: they name a column or table only in quotes. */
export const RESERVED: ReadonlySet<string> = new Set(
  (
    'all analyse analyze and any array as asc asymmetric authorization binary both case cast check collate collation ' +
    'concurrently constraint create cross current_catalog current_date current_role current_schema current_time ' +
    'current_timestamp current_user default deferrable desc distinct do else end except false fetch for foreign freeze ' +
    'from full grant group having ilike in initially inner intersect into is isnull join lateral leading left like ' +
    'limit localtime localtimestamp natural not notnull null offset on only or order outer overlaps placing precision ' +
    'primary references returning right select session_user similar some symmetric table tablesample then to trailing ' +
    'true union unique user using variadic verbose when where window with'
  ).split(' '),
)

/** Those that go on with the query, so that a name before them is missing; nobody names a column so. */
export const NAMED_BY_CLAUSE: ReadonlySet<string> = new Set(
  'and as case from having in inner intersect into is join natural not null on or select then union when where'.split(
    ' ',
  ),
)

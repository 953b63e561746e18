/**
 * The part of BSON that the protocol writes, which is JSON's values. A document is
 *
 *     int32 length of the whole | elements | 00
 *     element: type byte | name in UTF-8, ended by 00 | value
 *
 * Numbers are little-endian. Source: bsonspec.org, version 1.1.
 */
export const BSON_TYPE = {
  double: 0x01,
  string: 0x02,
  document: 0x03,
  array: 0x04,
  boolean: 0x08,
  null: 0x0a,
  int32: 0x10,
  int64: 0x12,
} as const

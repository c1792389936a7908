-- Which write made an item what it is: the same one, sent again, is known by the head that it brought. Deletions of one item by two
-- devices differ in nothing else.

-- SHA-256 of the sealed head of the item's last write. None if that was before this column.
ALTER TABLE vault_items ADD COLUMN head_digest BLOB CHECK (length(head_digest) = 32);

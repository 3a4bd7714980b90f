using Fossil;

// The sizes that adapters of language models usually have: chosen in a configuration or read from an adapter's file, so that no annotation names them.
[assembly: FossilShardSizes(4, 8, 16, 32, 64, 128, 256)]

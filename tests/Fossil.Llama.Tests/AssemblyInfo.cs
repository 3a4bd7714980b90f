// llama.cpp has state of its process; its tests run one after the other, beside those of other assemblies.
[assembly: CollectionBehavior(DisableTestParallelization = true)]

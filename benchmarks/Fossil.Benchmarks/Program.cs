using Fossil.Benchmarks;

// dotnet run -c Release --project benchmarks/Fossil.Benchmarks -- [layer] [memory] [dispatch] [kernels]
string[] all = ["layer", "memory", "dispatch", "kernels"];
foreach (var name in args.Length == 0 ? all : args)
{
    switch (name)
    {
        case "layer": LayerBenchmark.Run(); break;
        case "memory": MemoryBenchmark.Run(); break;
        case "dispatch": DispatchBenchmark.Run(); break;
        case "kernels": KernelBenchmark.Run(); break;
        default:
            Console.Error.WriteLine($"There is no benchmark '{name}'. There are: {string.Join(", ", all)}.");
            return 1;
    }
}

return 0;

using Fossil.Benchmarks;

// dotnet run -c Release --project benchmarks/Fossil.Benchmarks -- [processor-time] [layer] [memory] [dispatch] [kernels] [widths]
string[] all = ["layer", "memory", "dispatch", "kernels", "widths"];
Timing.ProcessorTime = args.Contains("processor-time");
string[] chosen = [.. args.Where(name => name != "processor-time")];
foreach (var name in chosen.Length == 0 ? all : chosen)
{
    switch (name)
    {
        case "layer": LayerBenchmark.Run(); break;
        case "memory": MemoryBenchmark.Run(); break;
        case "dispatch": DispatchBenchmark.Run(); break;
        case "kernels": KernelBenchmark.Run(); break;
        case "widths": WidthBenchmark.Run(); break;
        default:
            Console.Error.WriteLine($"There is no benchmark '{name}'. There are: {string.Join(", ", all)}.");
            return 1;
    }
}

return 0;

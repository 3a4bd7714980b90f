using Fossil.Compile.Benchmarks;

// What generator and analyzers cost: in a build, and at a keystroke. Arguments: annotated files, ordinary files, and "keystrokes" to leave the build out.
var annotated = args.Length > 0 ? int.Parse(args[0]) : 1000;
var ordinary = args.Length > 1 ? int.Parse(args[1]) : 2000;

// Compiler, generator and analyzers are compiled to machine code before anything is measured.
for (var round = 0; round < 3; round++)
{
    var small = GeneratedSolution.Create(100, 200);
    await BuildMeasurement.Run(small, output: null);
    KeystrokeMeasurement.Run(small, output: null);
    KeystrokeMeasurement.RunDeclarations(small, output: null);
}

Console.WriteLine($"{annotated} annotated and {ordinary} ordinary files, {Environment.ProcessorCount} processors, medians");
var solution = GeneratedSolution.Create(annotated, ordinary);
if (!args.Contains("keystrokes")) await BuildMeasurement.Run(solution, Console.Out);
KeystrokeMeasurement.Run(solution, Console.Out);
KeystrokeMeasurement.RunDeclarations(solution, Console.Out);

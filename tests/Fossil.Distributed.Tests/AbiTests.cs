using System.Diagnostics;
using System.Runtime.InteropServices;
using Fossil.Distributed.Mpi;

namespace Fossil.Distributed.Tests;

/// <summary>Which values a library gets. Open MPI and MPICH show it themselves (<see cref="OperationTests"/>); one with the standard ABI is built here.</summary>
public sealed class AbiTests
{
    [SkippableTheory]
    [InlineData("libmpi.so.40", "Open MPI")]
    [InlineData("libmpich.so.12", "MPICH")]
    public void A_library_is_known_by_what_it_exports(string file, string name)
    {
        Environment.SetEnvironmentVariable(Launch.Variable, file);
        try
        {
            Skip.IfNot(TryLoad(out var library), $"{file} is not installed.");
            Assert.Equal(name, library!.Abi.Name);
        }
        finally
        {
            Environment.SetEnvironmentVariable(Launch.Variable, null);
        }
    }

    [SkippableFact]
    public void A_library_with_the_standard_ABI_gets_its_values()
    {
        Environment.SetEnvironmentVariable(Launch.Variable, Build());
        try
        {
            Assert.True(TryLoad(out var library));
            Assert.Same(MpiAbi.Standard, library!.Abi);
            using var collectives = new MpiCollectives(library);
            Assert.Equal(("standard", 0, 1), (collectives.Library, collectives.Rank, collectives.Size));
            int[] sent = GC.AllocateArray<int>(4, pinned: true), received = GC.AllocateArray<int>(4, pinned: true);
            sent[3] = 7;
            Assert.True(collectives.AllToAll(Address(sent), Slices.Equal(16, 1), Address(received)).IsDone());
            Assert.Equal(sent, received);
            Assert.True(collectives.AllGather(Address(sent), Slices.Equal(16, 1)).IsDone());
            Assert.True(collectives.Broadcast(Address(sent), 16, 0).IsDone());

            var world = library.NewCommunicator();
            library.Send(Address(sent), 16, 0, 1, world);
            var request = library.Receive(Address(received), 16, 1, world);
            Assert.True(library.Test(ref request, out var source, out var tag));
            Assert.Equal((5, 6), (source, tag));
            Assert.Contains("error 16 of the standard", Assert.Throws<DistributedException>(() => library.Test(ref request)).Message);
        }
        finally
        {
            Environment.SetEnvironmentVariable(Launch.Variable, null);
        }
    }

    private static nint Address(int[] pinned) => Marshal.UnsafeAddrOfPinnedArrayElement(pinned, 0);

    private static bool TryLoad(out MpiLibrary? library)
    {
        try
        {
            library = MpiLibrary.Load(new(Launch.Variable, null, null, null));
            return true;
        }
        catch (DistributedException)
        {
            library = null;
            return false;
        }
    }

    private static string Build()
    {
        var file = Path.Combine(Directory.CreateTempSubdirectory("fossil-mpi-").FullName, "libmpi_abi.so");
        try
        {
            using var compiler = Process.Start("g++", ["-shared", "-fPIC", "-O1", "-o", file, Path.Combine(AppContext.BaseDirectory, "Native", "standard_abi.cpp")]);
            compiler.WaitForExit();
            Assert.Equal(0, compiler.ExitCode);
        }
        catch (System.ComponentModel.Win32Exception)
        {
            Skip.If(true, "No g++.");
        }

        return file;
    }
}

using Fossil.Serialization;

namespace Fossil.TestData;

/// <summary>Lets the operations of a save fail one by one, or stops it before each of them as a kill does.</summary>
internal static class FileFaults
{
    /// <summary>The operations of an action, in their order.</summary>
    public static List<string> Record(Action action)
    {
        var operations = new List<string>();
        FileOperations.Before = operations.Add;
        try
        {
            action();
        }
        finally
        {
            FileOperations.Before = null;
        }

        return operations;
    }

    /// <summary>Runs an action whose operation of that number fails.</summary>
    /// <returns>The operation, and what the action threw.</returns>
    public static (string Operation, Exception? Thrown) FailAt(int number, Action action) => Run(action, count => count == number);

    /// <summary>Runs an action none of whose operations happens from that number on: the disk is as a kill leaves it.</summary>
    /// <returns>The operation, and what the action threw: what it says where every operation fails from here on.</returns>
    public static (string Operation, Exception? Thrown) StopAt(int number, Action action) => Run(action, count => count >= number);

    private static (string Operation, Exception? Thrown) Run(Action action, Func<int, bool> fails)
    {
        var count = 0;
        var first = "(none)";
        FileOperations.Before = operation =>
        {
            if (!fails(count++)) return;
            if (first == "(none)") first = operation;
            throw new IOException("Input/output error");
        };
        try
        {
            action();
            return (first, null);
        }
        catch (Exception exception)
        {
            return (first, exception);
        }
        finally
        {
            FileOperations.Before = null;
        }
    }
}
